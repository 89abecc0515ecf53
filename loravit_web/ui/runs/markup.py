"""HTML of the tab Runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from loravit_web.access.rights import Visitor
from loravit_web.runs.comparison import ComparedRow
from loravit_web.runs.curves import version_of
from loravit_web.runs.next_steps import refusal_of, steps_of, title_and_owner
from loravit_web.runs.sweeps import changed_text
from loravit_web.ui.kit.markup import STATUS_SIGNS, notice, time_left
from loravit_web.ui.language.texts import _, gettext_noop, numeral
from loravit_web.ui.language.words import age
from loravit_web.ui.runs.nodes import node_line, summary
from loravit_web.ui.templates import render
from loravit_web.util.text import duration
from registry import Node, Run

MOST_QUEUED = 10


@dataclass(frozen=True)
class ActiveRun:
    """Run that trains or waits.

    Attributes:
        run: Run.
        name: Title and owner.
        place: Position in the queue, or progress.
        can_stop: Whether the visitor may stop it.
    """

    run: Run
    name: str
    place: str
    can_stop: bool


@dataclass(frozen=True)
class Row:
    """Run in the table.

    Attributes:
        run: Run.
        version: Version that the run made, such as ``v2``, or an empty text.
        is_chosen: Whether the run is selected.
        is_compared: Whether the run is compared.
        cells: Texts of the columns after the name, by head.
        sweep: The run's sweep and the settings that it tries, or an empty text.
    """

    run: Run
    version: str
    is_chosen: bool
    is_compared: bool
    cells: Mapping[str, str]
    sweep: str = ""


@dataclass(frozen=True)
class Scores:
    """Accuracies of runs by their ID.

    Attributes:
        accuracy: Validation accuracy of the published version, or the best one of the epochs without one.
        probe: Accuracy of the probe.
    """

    accuracy: Mapping[str, float]
    probe: Mapping[str, float]


def loading() -> Markup:
    """Return what is shown before the list is loaded."""
    return notice(_("Loading runs…"))


def nothing_yet() -> Markup:
    """Return what is shown instead of the list before the first run."""
    return notice(_("Runs appear here after you start a training in the tab Train."), title=_("No runs yet."))


def no_match() -> Markup:
    """Return what is shown instead of the list if no run matches."""
    return notice(_("Use fewer words or another status."), title=_("No matching runs."))


def active_banner(active: Sequence[Run], positions: Mapping[str, int], visitor: Visitor) -> Markup:
    """Return the running and queued runs with their progress and buttons; empty without any.

    Args:
        active: Running and queued runs, in order.
        positions: Positions in the queue by ID of the run, counted among all runs, also those that the
            visitor does not see.
        visitor: Visitor, who may stop some of them.
    """
    if not active:
        return Markup()
    items = [
        ActiveRun(
            run,
            title_and_owner(run),
            _place(run, positions.get(run.id)),
            bool(steps_of(run)) and refusal_of(visitor, run) is None,
        )
        for run in active[:MOST_QUEUED]
    ]
    return render("runs/banner", items=items, signs=STATUS_SIGNS, more=len(active) - MOST_QUEUED)


def nodes_line(nodes: Sequence[Node]) -> Markup:
    """Return the nodes that train runs, folded to one line."""
    lines = [node_line(node) for node in nodes]
    silent = sum(line.is_silent for line in lines)
    return render("runs/nodes", summary=summary(nodes), nodes=lines, silent=silent)


def _place(run: Run, position: int | None) -> str:
    if position is not None:
        return _("position {position} in the queue", position=position)
    stage = _("Stopping") if run.stop_request else run.stage or _("Starting")
    return f"{stage}, {numeral(run.progress, '.0%')}{time_left(run)}"


def runs_table(
    runs: Sequence[Run],
    scores: Scores,
    chosen: str | None,
    compared: Collection[str],
    *,
    now: datetime,
    own_names: Collection[str],
) -> Markup:
    """Return a page of runs, each of which can be selected and compared.

    Args:
        runs: Runs of the page.
        scores: Accuracies of the runs.
        chosen: ID of the selected run.
        compared: IDs of the compared runs.
        now: Current time.
        own_names: Names of the visitor. The owners are shown if there are others.
    """
    with_owner = any(run.created_by not in own_names for run in runs)

    def owner(run: Run) -> str:
        return _("you") if run.created_by in own_names else run.created_by

    rows = [
        Row(
            run,
            version_of(run),
            run.id == chosen,
            run.id in compared,
            _cells(run, scores, now, owner=owner(run) if with_owner else None),
            _sweep(run),
        )
        for run in runs
    ]
    return render("runs/table", heads=list(rows[0].cells), rows=rows, signs=STATUS_SIGNS)


def _sweep(run: Run) -> str:
    if run.group is None:
        return ""
    changed = changed_text(run.environment.get("sweep", {}).get("tries", {}))
    return _("Sweep {sweep}: {settings}", sweep=run.group[:8], settings=changed)


def _cells(run: Run, scores: Scores, now: datetime, *, owner: str | None) -> dict[str, str]:
    is_probe, probe = _publishes_probe(run), scores.probe.get(run.id)
    accuracy = scores.accuracy.get(run.id, probe if is_probe else None)
    change = None if is_probe or accuracy is None or probe is None else round(100 * (accuracy - probe), 1)
    return {
        **({gettext_noop("Owner"): owner} if owner is not None else {}),
        gettext_noop("Accuracy"): "–" if accuracy is None else numeral(accuracy, ".1%"),
        gettext_noop("vs. probe"): "–" if change is None else numeral(change, "+.1f").replace("-", "−"),
        gettext_noop("Preset"): str(run.config.get("preset", "–")).capitalize(),
        gettext_noop("Duration"): "–" if run.seconds is None else duration(run.seconds),
        gettext_noop("When"): age(run.created_at, now),
    }


def _publishes_probe(run: Run) -> bool:
    """Return whether a run has no epochs, so that its accuracy is that of its probe."""
    return bool(run.config.get("adapter", {}).get("adapter_type") == "PROBE")


def run_back() -> Markup:
    """Return the button that leads from a run back to the list, which a narrow screen hides meanwhile."""
    return render("runs/back")


def run_origin(run: Run) -> Markup:
    """Return owner, time and link of a run."""
    return render("runs/origin", run=run, retry_of=str(run.environment.get("retry_of") or ""))


def log_text(text: str) -> Markup:
    """Return the end of a run's log."""
    if not text:
        return notice(_("No log available for this run."))
    return render("runs/log", text=text)


def curves_head(heading: str, hint: str, names: Sequence[str], colours: Mapping[str, str]) -> Markup:
    """Return the heading of curves, a hint, and their legend.

    Args:
        heading: Heading.
        hint: Hint, or an empty string.
        names: Names of the curves.
        colours: CSS colors of the curves in the same order, by number.
    """
    curves = [(name, *colour) for name, colour in zip(names, colours.items(), strict=False)]
    return render("runs/curves", heading=heading, hint=hint, curves=curves)


def compared_table(title: str, heads: Sequence[str], rows: Sequence[ComparedRow], empty: str) -> Markup:
    """Return a table of a comparison. The best value is marked by a star and in words.

    Args:
        title: Heading of the table.
        heads: Column heads.
        rows: Rows.
        empty: Text if there are no rows.
    """
    return render("runs/compared", title=title, heads=heads, rows=rows, empty=empty)
