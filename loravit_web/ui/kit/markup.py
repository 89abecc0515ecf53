"""Pieces of HTML that several parts of the page show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from loravit_web.access.rights import ANONYMOUS, Visitor
from loravit_web.datasets import SPLITS, ImageDataset
from loravit_web.runs import next_steps
from loravit_web.settings.environment import Settings
from loravit_web.training.estimate import Estimate, cost_text
from loravit_web.training.progress import EPOCH
from loravit_web.training.recipe import DRAFT
from loravit_web.ui.templates import render, render_part
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
SKIPPED_SHOWN = 500


def notice(text: str, *, kind: str = "info", title: str = "") -> Markup:
    """A framed sentence; ``kind`` is info, warning, error or success."""
    return render_part("notice", text, kind=kind, title=title)


def line(text: str, *, kind: str = "muted", role: str = "status") -> Markup:
    """A paragraph of its own; ``kind`` is muted, cost or ask, ``role`` how screen readers take it."""
    return render_part("line", text, kind=kind, role=role)


def heading(text: str, *, level: int = 3) -> Markup:
    """A heading."""
    return render_part("heading", text, level=level)


def found(noun: str, total: int, page: int, pages: int) -> Markup:
    """How much was found, and which page of it is shown."""
    return render("kit/found", noun=noun, total=total, page=page, pages=pages)


def who_line(settings: Settings, visitor: Visitor) -> str:
    """What the page says of who looks at it; nothing where there is only one person."""
    if settings.mode == "local":
        return ""
    if settings.mode == "demo":
        rules = settings.demo
        training = (
            f"you may train {rules.runs} times a day, and what you train goes after {rules.hours:g} hours"
            if rules.training
            else "training and changes are off"
        )
        return line(f"A public demo: {training}.", role="")
    signed_in = None if visitor == ANONYMOUS else visitor
    return render("page/who", visitor=signed_in, can_sign_out=not settings.hub_roles.enabled)


def cost_summary(cost: Estimate) -> Markup:
    """What a training will take, in one sentence."""
    return line(cost_text(cost), kind="cost", role="")


def dataset_summary(dataset: ImageDataset) -> Markup:
    """What was found in the data: classes, counts, warnings and what was skipped."""
    counts = dataset.counts()
    return render(
        "train/dataset",
        dataset=dataset,
        counts=counts,
        most=max(sum(numbers.values()) for numbers in counts.values()),
        splits=[split for split in SPLITS if any(numbers[split] for numbers in counts.values())],
        skipped_shown=SKIPPED_SHOWN,
    )


def run_progress(run: Run, *, position: int | None, ahead: str | None) -> Markup:
    """Where a run is and what can be done next.

    Args:
        position: in the queue, 1 for the next.
        ahead: the run that trains now, and whose it is.
    """
    waits = f"waiting for {ahead} to end" if ahead else "the training process is starting"
    return render(
        "runs/progress",
        run=run,
        sign=STATUS_SIGNS[run.status],
        queued=f"Number {position or 1} in the queue, {waits}. You may close this page.",
        left=time_left(run),
        advice=next_steps.advice(run),
    )


def time_left(run: Run) -> str:
    """What a run still takes, once its pace is known: what comes before the first epoch has another."""
    stage = run.stage or ""
    paced = stage.startswith(EPOCH) and not stage.startswith(f"{EPOCH} 1 ")
    return f" · about {duration(run.eta_seconds)} left" if paced and run.eta_seconds else ""


def evaluation_table(version: Version) -> Markup:
    """Accuracy beside the linear probe's, per split."""
    return render("kit/evaluation", evaluations=version.evaluations)


def beside_probe(judged: Evaluation) -> str:
    """What the linear probe gets right of the same images, and whether that is another result at all.

    Twice the standard error of the difference, counted as if both erred independently, is no clear one.
    """
    if judged.linear_probe_accuracy is None:
        return ""
    more, clear = _lead(judged, judged.linear_probe_accuracy)
    text = f"; the linear probe gets {judged.linear_probe_accuracy:.1%}"
    if more == 0:
        return f"{text}, as many"
    counted = f"{abs(more)} image{'s' if abs(more) > 1 else ''} {'fewer' if more > 0 else 'more'}"
    return f"{text}, {counted}{'' if clear else ': too few to tell them apart'}"


def _lead(judged: Evaluation, probe: float) -> tuple[int, bool]:
    """How many images more than the linear probe it got right, and whether that is a clear difference."""
    wrong = [round((1 - accuracy) * judged.n) for accuracy in (judged.accuracy, probe)]
    more = wrong[1] - wrong[0]
    return more, more**2 > 4 * sum(wrong)


def next_attempt(preset: str, judged: Evaluation) -> str:
    """What to try next where the result leaves much to be tried, else nothing."""
    if preset == DRAFT:
        return "This was a draft: the preset Quick looks closer, at more images, and usually gets more right."
    more, clear = _lead(judged, judged.linear_probe_accuracy or 0.0)
    if clear and more < 0:
        return "If the linear probe stays ahead with more epochs, choose the type Only a head under Advanced."
    return ""


def class_table(details: EvaluationDetails) -> Markup:
    """Precision, recall and F1 of every class, the worst first."""
    if not details.classes:
        return notice("Nobody measured this version class by class.")
    ranked = sorted(zip(details.class_names, details.classes, strict=True), key=lambda pair: pair[1].f1)
    rows = [
        [name, one.support, f"{one.recall:.1%}", f"{one.precision:.1%}", f"{one.f1:.3f}"]
        for name, one in ranked
    ]
    heads = ["class", "images", "found (recall)", "right when named (precision)", "F1"]
    return render_part("table", heads, rows)


def definitions(facts: Mapping[str, str]) -> Markup:
    """Names and values as a definition list."""
    return render_part("definitions", facts)


def flattened(config: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, str]]:
    """The leaves of a nested configuration with dotted names."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{prefix}{key}", shown
