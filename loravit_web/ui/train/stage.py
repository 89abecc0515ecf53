"""What stands first in a result: its accuracy, beside the probe and the version before."""

from __future__ import annotations

from markupsafe import Markup

from loravit_web.catalog.earlier import Compared, before, compare
from loravit_web.runs.results import Result
from loravit_web.ui.kit.markup import beside_probe, correct_images, next_attempt
from loravit_web.ui.templates import render
from loravit_web.visibility import Seen


def headline(seen: Seen, result: Result) -> Markup:
    """Return the accuracy of a result with its interval, beside the probe and the version before."""
    first = result.version.evaluation(result.splits[0])
    compared = compared_before(seen, result)
    attempt = "" if first is None else next_attempt(str(result.run.config.get("preset")), first)
    return render(
        "train/result",
        title=result.run.title,
        origin=f"{result.version.ref}, trained on {result.run.dataset.name}",
        accuracy="" if first is None else correct_images(first).partition(f" {first.split} images"),
        probe="" if first is None else beside_probe(first).removeprefix("Probe: "),
        before="" if compared is None else before_text(compared),
        number=None if compared is None else compared.before.version,
        precision=None if first is None else first.mean_average_precision,
        attempt=attempt,
    )


def compared_before(seen: Seen, result: Result) -> Compared | None:
    """Return a result beside the version that people got before it, or None for the first version."""
    earlier = before(seen.registry, result.version)
    return None if earlier is None else compare(seen.registry, result.version, earlier)


def before_text(compared: Compared) -> str:
    """Return the difference from the version before as a phrase."""
    points = f"{compared.points:+.1f} points"
    if compared.same_images:
        return (
            f"{round(compared.old.accuracy * compared.old.n):,} of {compared.old.n:,} · {points}, same images"
        )
    low, high = compared.interval
    interval = f"95% CI {low:+.0f} to {high:+.0f}"
    return f"{100 * compared.old.accuracy:.0f}% of {compared.old.n:,} · {points} ({interval}), other images"
