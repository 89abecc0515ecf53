"""The state of the app as metrics of Prometheus, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from loravit_web.engine import MultiLoRAViT
from loravit_web.errors import LoraVitError
from loravit_web.serving.measures import Measured
from registry import Registry, RunStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "loravit"


class NoPrometheus(LoraVitError):
    """The package prometheus-client, without which there are no metrics."""


@dataclass(frozen=True)
class Held:
    """What the engine of the configured base holds in memory.

    Attributes:
        adapters: Number of adapters.
        compiled: Number of parts that OpenVINO has compiled; 0 if PyTorch computes everything.
    """

    adapters: int
    compiled: int

    @staticmethod
    def of(engine: MultiLoRAViT) -> Held:
        """Return what an engine holds now."""
        return Held(len(engine), len(engine.compiled or ()))


def metrics_of(registry: Registry, measured: Measured, held: Held | None) -> bytes:
    """Return the metrics of an app and of this process as text.

    Args:
        registry: Registry with the runs and nodes of all owners, of which only numbers are told.
        measured: Answers of this process.
        held: What is in memory, or None before the base is loaded.

    Raises:
        NoPrometheus: If the package for metrics is not installed.
        RegistryError: If the database does not answer.
    """
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
        from prometheus_client.registry import Collector
    except ImportError as error:
        raise NoPrometheus(
            'Metrics need the package prometheus-client. Install it with pip install "loravit-web[metrics]".'
        ) from error
    families = list(
        _families(registry, measured, held)
    )  # an error of the database must not look like an empty answer

    class Collected(Collector):
        def collect(self) -> Iterator[Any]:
            yield from families

    collectors = CollectorRegistry()
    collectors.register(Collected())
    ProcessCollector(registry=collectors)
    return bytes(generate_latest(collectors))


def _families(registry: Registry, measured: Measured, held: Held | None) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    answers = CounterMetricFamily(f"{_PREFIX}_answers", "Answers by outcome.", labels=["outcome"])
    answers.add_metric(["answered"], measured.answered)
    answers.add_metric(["failed"], measured.failed)
    yield answers
    times = HistogramMetricFamily(f"{_PREFIX}_branch_seconds", "Compute time of an answer's own blocks.")
    buckets = [(str(bound), float(number)) for bound, number in measured.within.items()]
    times.add_metric([], [*buckets, ("+Inf", float(measured.answered))], measured.seconds)
    yield times
    statuses = get_args(RunStatus)
    runs = GaugeMetricFamily(f"{_PREFIX}_runs", "Runs by status.", labels=["status"])
    for status, number in registry.runs.counts(*statuses).items():
        runs.add_metric([status], number)
    yield runs
    nodes = registry.nodes.list()
    alive = [node for node in nodes if not node.is_silent]
    found = GaugeMetricFamily(f"{_PREFIX}_nodes", "Nodes that train runs, by state.", labels=["state"])
    found.add_metric(["alive"], len(alive))
    found.add_metric(["silent"], len(nodes) - len(alive))
    yield found
    slots = GaugeMetricFamily(f"{_PREFIX}_slots", "Slots for trainings of live nodes.", labels=["state"])
    slots.add_metric(["busy"], sum(node.busy for node in alive))
    slots.add_metric(["free"], sum(max(0, node.slots - node.busy) for node in alive))
    yield slots
    if held is not None:
        yield GaugeMetricFamily(f"{_PREFIX}_adapters_in_memory", "Adapters in memory.", held.adapters)
        compiled = "Parts of the base and of adapters that OpenVINO has compiled."
        yield GaugeMetricFamily(f"{_PREFIX}_compiled_parts", compiled, held.compiled)
