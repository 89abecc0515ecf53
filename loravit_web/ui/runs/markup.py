"""HTML of the tab Runs; see `markup` for the rule that everything in it is escaped."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape

from loravit_web.runs.comparison import ComparedRow
from loravit_web.runs.next_steps import owned
from loravit_web.ui.kit.markup import STATUS_SIGNS, notice
from loravit_web.util.text import duration
from registry import Run

LOADING = notice("Reading the run history …")
EMPTY = notice("Start a training in the tab Train: it is listed here from then on.", title="No runs yet.")
NO_MATCH = notice("Take away a word or a state to see more.", title="No run meets this.")
PICK = notice("Choose a run above to see its state, its next step, its curves and its log.")
MOST_QUEUED = 10
_HEADS = ("Compare", "State", "Run", "By", "Best", "Data", "Started", "Took", "Published")


def run_link(run_id: str) -> str:
    """Where a run is found again."""
    return f"?tab=runs&run={run_id}"


def state_tag(run: Run) -> str:
    """A run's state as a sign and a word."""
    return (
        f'<span class="lv-state lv-{run.status}"><span aria-hidden="true">{STATUS_SIGNS[run.status]}</span> '
        f"{run.status}</span>"
    )


def queue_list(active: Sequence[Run], positions: Mapping[str, int]) -> str:
    """What trains and what waits, in order, with whose it is; nothing when nothing does.

    Args:
        positions: in the queue, by id; what the reader does not see waits there as well.
    """
    if not active:
        return ""
    items = []
    for run in active[:MOST_QUEUED]:
        position = positions.get(run.id)
        where = _going(run) if position is None else f"number {position} in the queue"
        items.append(f"<li>{state_tag(run)} {_anchor(run, owned(run), 'queue')} · {escape(where)}</li>")
    if len(active) > MOST_QUEUED:
        items.append(f"<li>and {len(active) - MOST_QUEUED} more</li>")
    return f'<section class="lv-queue" aria-label="Queue"><h4>Now</h4><ol>{"".join(items)}</ol></section>'


def _going(run: Run) -> str:
    left = f", about {duration(run.eta_seconds)} left" if run.eta_seconds else ""
    return f"{'Stopping' if run.stop_request else run.stage or 'Starting'}, {run.progress:.0%}{left}"


def runs_table(
    runs: Sequence[Run], best: dict[str, float], chosen: str | None, compared: Collection[str]
) -> str:
    """A page of runs; each can be chosen, and ticked to be compared."""
    heads = "".join(f"<th scope=col>{head}</th>" for head in _HEADS)
    rows = "".join(_row(run, best.get(run.id), run.id == chosen, run.id in compared) for run in runs)
    return f'<table class="lv-table lv-runs"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _row(run: Run, best: float | None, chosen: bool, compared: bool) -> str:
    seconds = run.seconds
    cells = (
        escape(run.created_by),
        "–" if best is None else f"{best:.1%}",
        escape(run.dataset.name),
        f"{run.started_at:%Y-%m-%d %H:%M}" if run.started_at else "not yet",
        "–" if seconds is None else duration(seconds),
        "–" if run.published is None else escape(run.published),
    )
    texts = "".join(
        f'<td data-label="{head}">{cell}</td>' for head, cell in zip(_HEADS[3:], cells, strict=True)
    )
    name = f"{_anchor(run, run.title, 'row')} <code>{run.id[:8]}</code>"
    return (
        f'<tr data-run="{run.id}"{" aria-current=true" if chosen else ""}>'
        f'<td data-label="Compare"><label class="lv-tick"><input type="checkbox" data-run="{run.id}" '
        f'data-key="tick-{run.id}" aria-label="Compare {escape(run.title)}"{" checked" if compared else ""}>'
        f'</label></td><td data-label="State">{state_tag(run)}</td>'
        f'<th scope=row data-label="Run">{name}</th>{texts}</tr>'
    )


def _anchor(run: Run, text: str, place: str) -> str:
    key = f"{place}-{run.id}"
    return f'<a href="{run_link(run.id)}" data-run="{run.id}" data-key="{key}">{escape(text)}</a>'


def log_text(text: str) -> str:
    """The end of a run's log."""
    if not text:
        return notice(
            "This machine has no log of this run: it was trained elsewhere, or before logs were kept."
        )
    return f'<pre class="lv-log" tabindex="0" aria-label="Log">{escape(text)}</pre>'


def legend(names: Sequence[str], colours: Mapping[str, str]) -> str:
    """The names of curves, each with its number and colour."""
    items = "".join(
        f'<li><span class="lv-swatch" style="background:{colour}" aria-hidden="true">{place}</span> '
        f"{escape(name)}</li>"
        for name, (place, colour) in zip(names, colours.items(), strict=False)
    )
    return f'<ol class="lv-legend">{items}</ol>'


def compared_table(title: str, heads: Sequence[str], rows: Sequence[ComparedRow], empty: str) -> str:
    """Rows of a comparison; the best is marked by a star and in words."""
    if not rows:
        return f"<h4>{escape(title)}</h4>{notice(empty)}"
    top = "".join(f"<th scope=col>{escape(head)}</th>" for head in heads)
    body = "".join(f"<tr><th scope=row>{escape(row.name)}</th>{_cells(row)}</tr>" for row in rows)
    return (
        f'<h4>{escape(title)}</h4><div class="lv-scroll"><table class="lv-table"><thead><tr><td></td>{top}'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(row: ComparedRow) -> str:
    return "".join(
        f"<td><b>{escape(cell)} ★ best</b></td>" if index in row.best else f"<td>{escape(cell)}</td>"
        for index, cell in enumerate(row.cells)
    )
