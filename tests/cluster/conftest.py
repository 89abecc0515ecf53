"""The fixtures of training, for the tests of the cluster."""

from tests.training.conftest import dataset, one_thread, queue, registry, store

__all__ = ["dataset", "one_thread", "queue", "registry", "store"]
