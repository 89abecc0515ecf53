"""What stands first in a result: its accuracy, beside the probe and the version before."""

from __future__ import annotations

from markupsafe import Markup

from loravit_web.catalog.earlier import Compared, before, compare
from loravit_web.runs.results import Result
from loravit_web.ui.kit.markup import against_probe, correct_parts, next_attempt
from loravit_web.ui.language.texts import _, numeral
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
        origin=_("{ref}, trained on {dataset}", ref=result.version.ref, dataset=result.run.dataset.name),
        accuracy=() if first is None else correct_parts(first),
        probe="" if first is None else against_probe(first),
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
    points, n = numeral(compared.points, "+.1f"), numeral(compared.old.n)
    if compared.same_images:
        correct = numeral(round(compared.old.accuracy * compared.old.n))
        return _("{correct} of {n} · {points} points, same images", correct=correct, n=n, points=points)
    low, high = compared.interval
    return _(
        "{accuracy} of {n} · {points} points (95% CI {low} to {high}), other images",
        accuracy=numeral(compared.old.accuracy, ".0%"),
        n=n,
        points=points,
        low=numeral(low, "+.0f"),
        high=numeral(high, "+.0f"),
    )
