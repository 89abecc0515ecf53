"""HTML that several parts of the page show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from loravit_web.access.rights import ANONYMOUS, Visitor
from loravit_web.runs import next_steps
from loravit_web.settings.environment import Settings
from loravit_web.training.estimate import Estimate
from loravit_web.training.progress import EPOCH
from loravit_web.training.recipe import DRAFT, INSTANT
from loravit_web.ui.language.texts import _, ngettext, numeral
from loravit_web.ui.language.words import split_name
from loravit_web.ui.templates import render, render_part
from loravit_web.util.intervals import interval_95
from loravit_web.util.text import duration
from registry import Evaluation, EvaluationDetails, Run, Version

STATUS_SIGNS = {
    "queued": "…",
    "running": "▶",
    "completed": "✓",
    "failed": "✕",
    "cancelled": "–",
    "interrupted": "‖",
}


def notice(text: str, *, kind: str = "info", title: str = "") -> Markup:
    """Return text in a frame.

    Args:
        text: Text.
        kind: Kind of the notice: info, warning, error or success.
        title: Words in bold before the text.
    """
    return render_part("notice", text, kind=kind, title=title)


def line(text: str, *, kind: str = "muted", role: str = "status") -> Markup:
    """Return a paragraph.

    Args:
        text: Text.
        kind: Kind of the paragraph: muted, cost or ask.
        role: ARIA role for screen readers, or an empty string.
    """
    return render_part("line", text, kind=kind, role=role)


def heading(text: str, *, level: int = 3) -> Markup:
    """Return a heading."""
    return render_part("heading", text, level=level)


def found(total: str, page: int, pages: int) -> Markup:
    """Return the number of results and the current page.

    Args:
        total: Number of results with their noun.
        page: Number of the page, from 1.
        pages: Number of pages.
    """
    return render("kit/found", total=total, page=page, pages=pages)


def who_line(settings: Settings, visitor: Visitor) -> str:
    """Return the line about the visitor and the mode of the app; empty in the mode local."""
    if settings.mode == "local":
        return ""
    if settings.mode == "demo":
        return line(_demo_rules(settings), role="")
    signed_in = None if visitor == ANONYMOUS else visitor
    return render("page/who", visitor=signed_in, can_sign_out=not settings.hub_roles.enabled)


def _demo_rules(settings: Settings) -> str:
    rules = settings.demo
    if not rules.training:
        return _("Public demo: training and changes are disabled.")
    return ngettext(
        "Public demo: {n} training per day. Your data and adapters are deleted after {hours} hours.",
        "Public demo: up to {n} trainings per day. Your data and adapters are deleted after {hours} hours.",
        rules.runs,
        hours=f"{rules.hours:g}",
    )


def cost_summary(cost: Estimate) -> Markup:
    """Return the estimated cost of a training as a paragraph."""
    text = _(
        "Up to {duration} and {memory} GB of memory on this machine: {epochs} epochs on {train} training "
        "images, {validation} validation images and {parameters} trained parameters.",
        duration=duration(cost.seconds),
        memory=numeral(cost.memory / 1e9, ".1f"),
        epochs=cost.epochs,
        train=numeral(cost.train_images),
        validation=numeral(cost.validation_images),
        parameters=numeral(cost.parameters),
    )
    return line(text, kind="cost", role="")


def run_progress(run: Run, *, position: int | None, ahead: str | None) -> Markup:
    """Return the progress of a run, or its result or error with the next step.

    Args:
        run: Run to show.
        position: Position in the queue, 1 for the next run.
        ahead: Title and owner of the run that trains now.
    """
    place, advice = position or 1, next_steps.advice(run)
    if ahead:
        queued = _(
            "Position {place} in the queue; waiting for {ahead} to finish. You can close this page.",
            place=place,
            ahead=ahead,
        )
    else:
        queued = _(
            "Position {place} in the queue; the training process is starting. You can close this page.",
            place=place,
        )
    return render(
        "runs/progress",
        run=run,
        sign=STATUS_SIGNS[run.status],
        queued=queued,
        left=time_left(run),
        advice=_(advice) if advice is not None else None,
    )


def time_left(run: Run) -> str:
    """Return the remaining time of a run as text; empty until an epoch was timed."""
    stage = run.stage or ""
    paced = stage.startswith(EPOCH) and not stage.startswith(f"{EPOCH} 1 ")
    if not paced or not run.eta_seconds:
        return ""
    return " · " + _("about {duration} left", duration=duration(run.eta_seconds))


def evaluation_table(version: Version) -> Markup:
    """Return a table with the accuracy of a version and of the probe on each split."""
    judged = version.evaluations
    return render("kit/evaluation", evaluations=judged, several=any(one.several_labels for one in judged))


def correct_images(judged: Evaluation) -> str:
    """Return the number of correct images as a sentence, with its confidence interval."""
    return " ".join(correct_parts(judged))


def correct_parts(judged: Evaluation) -> tuple[str, str]:
    """Return the two parts of `correct_images`: the numbers, and the rest of the sentence."""
    correct = judged.n - _wrong(judged.accuracy, judged.n)
    low, high = _bounds(judged)
    told: dict[str, object] = {"split": split_name(judged.split), "low": low, "high": high}
    if judged.several_labels:
        rest = _("{split} images correct in all their labels (95% CI {low} to {high}%).", **told)
    else:
        rest = _("{split} images correct (95% CI {low} to {high}%).", **told)
    return _("{correct} of {all}", correct=numeral(correct), all=numeral(judged.n)), rest


def with_interval(judged: Evaluation) -> str:
    """Return the accuracy with its 95 % confidence interval, such as ``71.4% (45–88)``."""
    low, high = _bounds(judged)
    return f"{numeral(judged.accuracy, '.1%')} ({low}–{high})"


def _bounds(judged: Evaluation) -> tuple[str, str]:
    """Return the bounds of the 95 % confidence interval of an accuracy in percent."""
    low, high = interval_95(judged.n - _wrong(judged.accuracy, judged.n), judged.n)
    digits = 0 if judged.n < 1000 else 1
    return numeral(100 * low, f".{digits}f"), numeral(100 * high, f".{digits}f")


def beside_probe(judged: Evaluation) -> str:
    """Return a sentence that compares the evaluation with the probe's; empty without a probe."""
    against = against_probe(judged)
    return against and _("Probe: {text}", text=against)


def against_probe(judged: Evaluation) -> str:
    """Return the number of images that the probe predicts correctly; empty without a probe.

    A difference is significant if it exceeds twice its standard error, as if both erred independently.
    """
    if judged.linear_probe_accuracy is None:
        return ""
    more, significant = _lead(judged, judged.linear_probe_accuracy)
    by_probe = judged.n - _wrong(judged.linear_probe_accuracy, judged.n)
    told: dict[str, object] = {"correct": numeral(by_probe), "all": numeral(judged.n)}
    if more == 0:
        return _("{correct} of {all}, the same.", **told)
    if significant:
        return _("{correct} of {all}; the difference is significant.", **told)
    return _("{correct} of {all}; the difference is not significant.", **told)


def _wrong(accuracy: float, n: int) -> int:
    return round((1 - accuracy) * n)


def _lead(judged: Evaluation, probe: float) -> tuple[int, bool]:
    """Return how many more images than the probe are correct, and whether that is significant."""
    wrong = [_wrong(accuracy, judged.n) for accuracy in (judged.accuracy, probe)]
    more = wrong[1] - wrong[0]
    return more, more**2 > 4 * sum(wrong)


def next_attempt(preset: str, judged: Evaluation) -> str:
    """Return what to try next after a training, or an empty string.

    Args:
        preset: Key of the preset of the training.
        judged: Evaluation of the result.
    """
    if preset == INSTANT:
        return _("Next: train with the preset Draft or Quick. Adapted layers are usually more accurate.")
    if preset == DRAFT:
        return _("Next: retrain with the preset Quick. It uses larger images, and is usually more accurate.")
    more, significant = _lead(judged, judged.linear_probe_accuracy or 0.0)
    if significant and more < 0:
        return _("If the probe stays ahead with more epochs, choose the type “Head only” under Advanced.")
    return ""


def class_table(details: EvaluationDetails) -> Markup:
    """Return a table with recall, precision and F1 of every class, the lowest F1 first."""
    if not details.classes:
        return notice(_("No per-class metrics for this version."))
    ranked = sorted(zip(details.class_names, details.classes, strict=True), key=lambda pair: pair[1].f1)
    rows = [
        [name, one.support, numeral(one.recall, ".1%"), numeral(one.precision, ".1%"), numeral(one.f1, ".3f")]
        for name, one in ranked
    ]
    heads = [_("Class"), _("Images"), _("Recall"), _("Precision"), _("F1")]
    averages = [one.average_precision for _name, one in ranked]
    if any(average is not None for average in averages):
        heads.append(_("Average precision"))
        for row, average in zip(rows, averages, strict=True):
            row.append("–" if average is None else numeral(average, ".3f"))
    return render_part("table", heads, rows)


def definitions(facts: Mapping[str, str]) -> Markup:
    """Return names and values as a definition list."""
    return render_part("definitions", facts)


def flattened(config: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Yield the values of a nested configuration as text, with dotted names."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{prefix}{key}", shown
