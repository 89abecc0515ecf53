"""Pieces of HTML, built on the server from escaped text. Nothing else in the app writes HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from loravit_web.access.rights import ANYBODY, Visitor
from loravit_web.datasets import SPLITS, ImageDataset
from loravit_web.runs.next_steps import advice
from loravit_web.settings.environment import Settings
from loravit_web.training.estimate import Estimate, cost_text
from loravit_web.training.progress import EPOCH
from loravit_web.training.recipe import DRAFT
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
PROBE = "The linear probe is what the base can do as it is, with nothing inside it adapted."
MACRO_F1 = "Macro F1 counts every class the same, however many images it has; 1 is best."


def notice(text: str, *, kind: str = "info", title: str = "") -> str:
    """A framed sentence; ``kind`` is info, warning, error or success."""
    heading = f"<strong>{escape(title)}</strong> " if title else ""
    role = "alert" if kind == "error" else "status"
    return f'<div class="lv-notice lv-{escape(kind)}" role="{role}">{heading}{escape(text)}</div>'


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
        return f'<p class="lv-muted">A public demo: {training}.</p>'
    if visitor == ANYBODY:
        return '<p class="lv-muted">You can look and ask; to change something, sign in.</p>'
    away = "" if settings.hub_roles.enabled else ' · <a href="logout">Sign out</a>'
    return f'<p class="lv-muted">Signed in as <b>{escape(visitor.name)}</b>, {visitor.role}{away}</p>'


def bar(fraction: float, label: str) -> str:
    """A bar with a text alternative."""
    percent = max(0.0, min(1.0, fraction)) * 100
    return (
        f'<div class="lv-bar" role="img" aria-label="{escape(label)}">'
        f'<div style="width:{percent:.1f}%"></div></div>'
    )


def cost_summary(cost: Estimate) -> str:
    """What a training will take, in one sentence."""
    return f'<p class="lv-cost">{escape(cost_text(cost))}</p>'


def dataset_summary(dataset: ImageDataset) -> str:
    """What was found in the data: classes, counts, warnings and what was skipped."""
    counts = dataset.counts()
    most = max(sum(one.values()) for one in counts.values())
    splits = [split for split in SPLITS if any(one[split] for one in counts.values())]
    head = "".join(f"<th scope=col>{split}</th>" for split in splits)
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}</th>"
        + "".join(f"<td>{one[split]}</td>" for split in splits)
        + f"<td class=lv-wide>{bar(sum(one.values()) / most, f'{sum(one.values())} images')}</td></tr>"
        for name, one in counts.items()
    )
    parts = [
        f"<h3>{escape(dataset.name)}</h3><p>{len(dataset.items)} images in {len(dataset.classes)} classes. "
        f'<span class="lv-muted">Fingerprint <code>{dataset.fingerprint[:12]}</code>: the same images always '
        "have the same.</span></p>"
    ]
    parts += [notice(warning, kind="warning") for warning in dataset.warnings]
    if dataset.skipped:
        parts.append(_skipped(dataset))
    parts.append(
        f'<div class="lv-scroll"><table class="lv-table"><thead><tr><th scope=col>class</th>{head}'
        f"<th scope=col>share</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
    return "".join(parts)


def _skipped(dataset: ImageDataset) -> str:
    shown = "".join(
        f"<li><code>{escape(one.path)}</code>: {escape(one.reason)}</li>"
        for one in dataset.skipped[:SKIPPED_SHOWN]
    )
    more = len(dataset.skipped) - SKIPPED_SHOWN
    rest = f"<li>and {more} more</li>" if more > 0 else ""
    count = len(dataset.skipped)
    return (
        f'<details class="lv-notice lv-warning"><summary>{count} file{"s" if count > 1 else ""} skipped'
        f'</summary><ul class="lv-long">{shown}{rest}</ul></details>'
    )


def run_progress(run: Run, *, position: int | None, ahead: str | None) -> str:
    """Where a run is and what can be done next.

    Args:
        position: in the queue, 1 for the next.
        ahead: the run that trains now, and whose it is.
    """
    sign = STATUS_SIGNS[run.status]
    parts = [
        f'<header><h3>{escape(run.title)}</h3><span class="lv-tag lv-{run.status}">{sign} {run.status}'
        f"</span></header>"
    ]
    if run.status == "queued":
        waits = f"waiting for {ahead} to end" if ahead else "the training process is starting"
        parts.append(notice(f"Number {position or 1} in the queue, {waits}. You may close this page."))
    elif run.status == "running":
        stage = "Stopping" if run.stop_request else run.stage or "Starting"
        parts.append(bar(run.progress, f"{run.progress:.0%} done"))
        parts.append(f"<p>{escape(stage)} · {run.progress:.0%}{time_left(run)}</p>")
        parts.append('<p class="lv-muted">You may close this page; training goes on.</p>')
    elif run.status == "completed":
        way = "Try it from its result, or pick it in the Use tab."
        parts.append(notice(f"{run.note or ''} {way}", kind="success"))
    elif run.error:
        parts.append(notice(run.error, kind="error", title="Why?"))
        if what_to_do := advice(run):
            parts.append(f"<p><strong>What to do:</strong> {escape(what_to_do)}</p>")
    else:
        parts.append(notice("Nothing was published.", kind="info"))
    return f'<section class="lv-run">{"".join(parts)}</section>'


def time_left(run: Run) -> str:
    """What a run still takes, once its pace is known: what comes before the first epoch has another."""
    stage = run.stage or ""
    paced = stage.startswith(EPOCH) and not stage.startswith(f"{EPOCH} 1 ")
    return f" · about {duration(run.eta_seconds)} left" if paced and run.eta_seconds else ""


def evaluation_table(version: Version) -> str:
    """Accuracy beside the linear probe's, per split."""
    rows = "".join(
        f"<tr><th scope=row>{one.split}</th><td>{one.n}</td><td>{one.accuracy:.1%}</td>"
        f"<td>{'–' if one.linear_probe_accuracy is None else f'{one.linear_probe_accuracy:.1%}'}</td>"
        f"<td>{one.macro_f1:.3f}</td></tr>"
        for one in version.evaluations
    )
    heads = "".join(f"<th scope=col>{h}</th>" for h in ("images", "accuracy", "linear probe", "macro F1"))
    return (
        f'<div class="lv-scroll"><table class="lv-table"><thead><tr><th scope=col>split</th>{heads}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
        f'<p class="lv-muted">{PROBE} {MACRO_F1}</p>'
    )


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


def class_table(details: EvaluationDetails) -> str:
    """Precision, recall and F1 of every class, the worst first."""
    if not details.classes:
        return notice("Nobody measured this version class by class.")
    ranked = sorted(zip(details.class_names, details.classes, strict=True), key=lambda pair: pair[1].f1)
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{one.support}</td><td>{one.recall:.1%}</td>"
        f"<td>{one.precision:.1%}</td><td>{one.f1:.3f}</td></tr>"
        for name, one in ranked
    )
    titles = ("images", "found (recall)", "right when named (precision)", "F1")
    heads = "".join(f"<th scope=col>{title}</th>" for title in titles)
    return (
        f'<div class="lv-scroll"><table class="lv-table"><thead><tr><th scope=col>class</th>{heads}'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def definitions(facts: Mapping[str, str]) -> str:
    """Names and values as a definition list."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f'<dl class="lv-facts">{rows}</dl>'


def flattened(config: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, str]]:
    """The leaves of a nested configuration with dotted names."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{prefix}{key}", shown
