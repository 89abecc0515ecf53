"""The card of one version as HTML: pure functions of what is known about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from loravit_web.adapters.files.card import thumbnail_text
from loravit_web.catalog.facts import AdapterFacts
from loravit_web.catalog.plans import Plan
from loravit_web.ui.catalog.listing import size_text
from loravit_web.ui.kit.markup import class_table, evaluation_table, notice
from loravit_web.ui.templates import render
from registry import ABSENT, AliasMove, AuditEvent, Lineage

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


def none_chosen() -> Markup:
    """Shown in the place of the card before an adapter is chosen."""
    return notice("Choose an adapter to see its results, origin and versions, and what can be done with it.")


def head_html(facts: AdapterFacts, picture: str | None) -> Markup:
    """Name, state, picture, description and classes.

    Args:
        picture: where the browser finds the thumbnail.
    """
    version = facts.version
    return render(
        "catalog/head",
        version=version,
        adapter=facts.adapter,
        standing=facts.standing,
        names=[*facts.aliases, *(["latest"] if facts.newest else [])],
        picture=picture,
        picture_text=thumbnail_text(version.class_names),
        classes_shown=CLASSES_SHOWN,
    )


def results_html(facts: AdapterFacts) -> Markup:
    """Accuracy beside the linear probe's, then class by class, each with the name of its split."""
    if not facts.version.evaluations:
        return notice("Nobody has measured this version.")
    results = facts.results
    return render(
        "catalog/results",
        evaluation=evaluation_table(facts.version),
        results=results,
        classes=class_table(results.details) if results is not None else "",
    )


def changes_html(facts: AdapterFacts) -> Markup:
    """The settings in which the version differs from the one before it, and nothing else."""
    return render(
        "catalog/changes",
        version=facts.version.version,
        previous=facts.previous.version if facts.previous is not None else None,
        rows=[[row.key, *(_setting(row.key, value) for value in row.values)] for row in facts.differences],
    )


def origin_html(facts: AdapterFacts) -> Markup:
    """Base, data, run, size, and what else came from the same data; then how often each version was asked."""
    version = facts.version
    about = {
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
    return render("catalog/origin", facts=about, run_id=facts.lineage.run_id, usage=_usage(facts))


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


def _usage(facts: AdapterFacts) -> list[list[str]]:
    return [
        [f"version {number}", f"{total.n:,}", f"{total.errors:,}", _milliseconds(total.mean_ms)]
        for number, total in sorted(facts.usage.items(), reverse=True)
    ]


def aliases_html(facts: AdapterFacts) -> Markup:
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
    moves = [_move(move) for move in facts.moves[:MOVES_SHOWN]]
    return render("catalog/aliases", rows=rows, moves=moves, n_moves=len(facts.moves))


def plan_html(plan: Plan, *, changed: bool) -> Markup:
    """What will happen.

    Args:
        changed: somebody changed something after the reader was asked, so this is asked anew.
    """
    sentences = [*plan.consequences, *([plan.note] if plan.note else [])]
    return render("catalog/plan", sentences=sentences, is_changed=changed)


def stale_html(events: Sequence[AuditEvent]) -> Markup:
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
