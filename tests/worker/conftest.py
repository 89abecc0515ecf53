"""The fixtures of training, for the tests of the worker."""

from tests.training.conftest import after_step, carry_out, data, dataset, one_thread, queue, registry, store

__all__ = ["after_step", "carry_out", "data", "dataset", "one_thread", "queue", "registry", "store"]
