"""The fixtures of training, for the process that trains."""

from tests.training.conftest import after_step, carry_out, data, dataset, one_thread, queue, registry, store

__all__ = ["after_step", "carry_out", "data", "dataset", "one_thread", "queue", "registry", "store"]
