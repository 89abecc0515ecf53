"""The card of one version as HTML: pure functions of what is known about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from loravit_web.adapters.files.card import thumbnail_text
from loravit_web.catalog.facts import AdapterFacts
from loravit_web.catalog.plans import Plan
from loravit_web.ui.catalog.listing import size_text
from loravit_web.ui.kit.markup import class_table, definitions, evaluation_table, notice
from registry import ABSENT, AliasMove, AuditEvent, Lineage, Version

CHOOSE_ONE = notice(
    "Choose an adapter to see its results, origin and versions, and what can be done with it."
)
CLASSES_SHOWN = 60
MOVES_SHOWN = 50
NAMES_SHOWN = 10
SHORT = 12
_DONE = {
    "published": "published a version",
    "promoted": "promoted a version",
    "rolled_back": "rolled an alias back",
    "removed": "removed an alias",
    "protected": "protected an alias",
    "unprotected": "took an alias's protection away",
    "withdrawn": "withdrew a version",
    "archived": "archived it",
    "restored": "restored it",
    "tagged": "changed its tags",
    "described": "changed its texts",
}


def head_html(facts: AdapterFacts, picture: str | None) -> str:
    """Name, state, picture, description and classes.

    Args:
        picture: where the browser finds the thumbnail.
    """
    version, adapter = facts.version, facts.adapter
    names = [*facts.aliases, *(["latest"] if facts.newest else [])]
    chips = "".join(f'<span class="lv-chip">{escape(name)}</span>' for name in names)
    tags = "".join(f'<span class="lv-chip">#{escape(tag)}</span>' for tag in adapter.tags)
    image = ""
    if picture is not None:
        text = escape(thumbnail_text(version.class_names))
        image = f'<img class="lv-thumbnail" src="{escape(picture)}" alt="{text}">'
    off = "" if facts.standing.usable else " lv-off"
    description = "".join(f"<p>{escape(part)}</p>" for part in adapter.description.splitlines() if part)
    return (
        f'<section class="lv-card{off}" aria-label="{escape(version.ref)}"><header>'
        f'<h3>{escape(adapter.title)}</h3><span class="lv-tag" role="status">{escape(version.ref)}</span>'
        f"</header>{_standing(facts)}<p>{chips}{tags}</p>{image}{description}{_classes(version)}</section>"
    )


def _standing(facts: AdapterFacts) -> str:
    if facts.standing.reason is None:
        return ""
    if facts.standing.usable:
        return notice(facts.standing.reason)
    return notice(facts.standing.reason, kind="warning", title="⚠ Not in use.")


def _classes(version: Version) -> str:
    names = version.class_names
    shown = "".join(f'<span class="lv-chip">{escape(name)}</span>' for name in names[:CLASSES_SHOWN])
    rest = ", ".join(escape(name) for name in names[CLASSES_SHOWN:])
    more = (
        f"<details><summary>and {len(names) - CLASSES_SHOWN} more</summary>{rest}</details>" if rest else ""
    )
    return f'<p class="lv-muted">{len(names)} classes</p><div>{shown}</div>{more}'


def results_html(facts: AdapterFacts) -> str:
    """Accuracy beside the linear probe's, then class by class, each with the name of its split."""
    if not facts.version.evaluations:
        return notice("Nobody has measured this version.")
    parts = [evaluation_table(facts.version)]
    results = facts.results
    if results is None:
        return parts[0] + notice("Nobody measured this version class by class.")
    confused = "".join(
        f"<li>{escape(one.true)} taken for {escape(one.predicted)}: "
        f"{one.n} of its images ({one.share:.0%})</li>"
        for one in results.confused
    )
    if confused:
        parts.append(
            f'<p class="lv-muted">Most confused on the {results.split} images</p><ul>{confused}</ul>'
        )
    parts.append(
        f'<details class="lv-more"><summary>Class by class, on the {results.split} images, the worst first'
        f'</summary><div class="lv-tall">{class_table(results.details)}</div></details>'
    )
    return "".join(parts)


def changes_html(facts: AdapterFacts) -> str:
    """The settings in which the version differs from the one before it, and nothing else."""
    title = '<h4 class="lv-part">What differs from the version before</h4>'
    if facts.previous is None:
        return title + notice("This is the first version.")
    if not facts.differences:
        return title + notice(f"Every setting is that of version {facts.previous.version}.")
    heads = [f"version {facts.previous.version}", f"version {facts.version.version}"]
    rows = [[row.key, *(_setting(row.key, value) for value in row.values)] for row in facts.differences]
    return title + _table(["setting", *heads], rows)


def origin_html(facts: AdapterFacts) -> str:
    """Base, data, run, size, and what else came from the same data; then how often each version was asked."""
    version = facts.version
    return (
        definitions(
            {
                "published": f"{version.created_at:%Y-%m-%d %H:%M} UTC by {version.created_by}",
                "owner": facts.adapter.owner,
                **_data(facts.lineage),
                "base": f"{version.base.name}, weights {version.base.weights_sha256[:SHORT]}",
                "adapter weights": version.weights_sha256[:SHORT],
                "adapter": f"{version.adapter_type}, {version.n_params:,} parameters",
                "size": size_text(version.size_bytes),
                "input": f"{version.image_size} px",
                **_related(facts.lineage),
            }
        )
        + _run_link(facts.lineage)
        + _usage(facts)
    )


def _run_link(lineage: Lineage) -> str:
    if lineage.run_id is None:
        return ""
    return f'<p><a href="?tab=runs&amp;run={escape(lineage.run_id)}">See the run that made it</a></p>'


def _data(lineage: Lineage) -> dict[str, str]:
    run = {"run": lineage.run_id[:8] if lineage.run_id is not None else "none: it was imported"}
    if lineage.dataset is None:
        return {"data": "unknown", **run}
    data = lineage.dataset
    shown = f"{data.name}, {data.n_images:,} images in {data.n_classes} classes"
    return {"data": shown, "fingerprint": data.fingerprint[:SHORT], **run}


def _related(lineage: Lineage) -> dict[str, str]:
    facts = {"same run": ", ".join(lineage.siblings)} if lineage.siblings else {}
    same = lineage.same_data
    if same is not None and same.n_versions:
        more = same.n_versions - NAMES_SHOWN
        named = ", ".join(same.versions[:NAMES_SHOWN])
        facts["same data"] = named + (f" and {more:,} more" if more > 0 else "")
    return facts


def _usage(facts: AdapterFacts) -> str:
    if not facts.usage:
        return notice("Nobody has asked this adapter yet.")
    rows = [
        [f"version {number}", f"{total.n:,}", f"{total.errors:,}", _milliseconds(total.mean_ms)]
        for number, total in sorted(facts.usage.items(), reverse=True)
    ]
    return _table(["asked", "times", "without an answer", "on average"], rows)


def aliases_html(facts: AdapterFacts) -> str:
    """What each alias means, and every move."""
    rows = [
        [
            one.alias + (" (protected)" if one.protected else ""),
            f"version {one.version}",
            one.moved_by,
            f"{one.moved_at:%Y-%m-%d %H:%M}",
        ]
        for one in facts.adapter.aliases
    ]
    now = _table(["alias", "means", "moved by", "moved at (UTC)"], rows)
    parts = [now if rows else notice("No alias yet: promote a version to make one.")]
    if facts.moves:
        count = len(facts.moves)
        items = "".join(f"<li>{escape(_move(one))}</li>" for one in facts.moves[:MOVES_SHOWN])
        parts.append(
            f'<details class="lv-more"><summary>History, {count} move{"" if count == 1 else "s"}</summary>'
            f'<ul class="lv-long">{items}</ul></details>'
        )
    return "".join(parts)


def plan_html(plan: Plan, *, changed: bool) -> str:
    """What will happen.

    Args:
        changed: somebody changed something after the reader was asked, so this is asked anew.
    """
    warning = notice("Somebody changed this meanwhile: read again.", kind="warning") if changed else ""
    sentences = [*plan.consequences, *([plan.note] if plan.note else [])]
    items = "".join(f"<li>{escape(one)}</li>" for one in sentences)
    return f'{warning}<div class="lv-notice lv-warning" role="alert"><ul>{items}</ul></div>'


def stale_html(events: Sequence[AuditEvent]) -> str:
    """Who changed the adapter since the card was drawn; the newest first."""
    told = list(dict.fromkeys(f"{one.actor} {_DONE.get(one.kind, one.kind)}" for one in events))
    return notice(f"{', '.join(told)}: this card shows how it is now.", title="Refreshed.")


def _move(move: AliasMove) -> str:
    before = "nothing" if move.before is None else f"version {move.before}"
    after = "nothing" if move.after is None else f"version {move.after}"
    how = {"promoted": "promoted", "rolled_back": "rolled back", "removed": "removed"}[move.kind]
    return f"{move.moved_at:%Y-%m-%d %H:%M} {move.alias}: {before} → {after}, {how} by {move.moved_by}"


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


def _setting(key: str, value: Any) -> str:
    if value is ABSENT:
        return "–"
    if value is None:
        return "null"
    if key.endswith(("sha256", "fingerprint")):
        return str(value)[:SHORT]
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names its rows."""
    head = "".join(f"<th scope=col>{escape(one)}</th>" for one in heads)
    body = "".join(
        f"<tr><th scope=row>{escape(first)}</th>{''.join(f'<td>{escape(one)}</td>' for one in rest)}</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="lv-scroll"><table class="lv-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
