"""HTML of the card of a version, as pure functions of its facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from loravit_web.adapters.files.card import thumbnail_text
from loravit_web.catalog.facts import AdapterFacts
from loravit_web.catalog.reliability import NO_RELIABILITY
from loravit_web.datasets.revisions.record import Revision
from loravit_web.ui.catalog.listing import size_text
from loravit_web.ui.catalog.versions import judged_on, names_of
from loravit_web.ui.kit.markup import (
    beside_probe,
    class_table,
    correct_images,
    evaluation_table,
    notice,
)
from loravit_web.ui.templates import render
from registry import ABSENT, AliasMove, AuditEvent, Lineage

CLASSES_SHOWN = 60
MOVES_SHOWN = 50
NAMES_SHOWN = 10
SHORT = 12
_DONE = {
    "published": "published a version",
    "promoted": "promoted a version",
    "rolled_back": "rolled back an alias",
    "removed": "removed an alias",
    "protected": "protected an alias",
    "unprotected": "removed the protection of an alias",
    "withdrawn": "withdrew a version",
    "archived": "archived the adapter",
    "restored": "restored the adapter",
    "tagged": "changed the tags",
    "described": "changed title or description",
    "adjusted": "changed the thresholds of a version",
    "titled": "changed the title of a class",
    "forgotten": "deleted a version",
}


def none_chosen() -> Markup:
    """Return the notice in place of the card before an adapter is selected."""
    return notice("Select an adapter to see its versions and results.")


def head_html(facts: AdapterFacts, thumbnail: str | None) -> Markup:
    """Return name, status, accuracy, description, classes and thumbnail.

    Args:
        facts: Facts about the version.
        thumbnail: URL of the thumbnail, or None.
    """
    version = facts.version
    judged = judged_on(version)
    sentences = [] if judged is None else [correct_images(judged), beside_probe(judged)]
    return render(
        "catalog/head",
        version=version,
        accuracy=None if judged is None else judged.accuracy,
        sentences=sentences,
        adapter=facts.adapter,
        availability=facts.availability,
        names=names_of(facts, version),
        thumbnail=thumbnail,
        thumbnail_alt=thumbnail_text(version.shown_classes),
        classes_shown=CLASSES_SHOWN,
    )


def results_html(facts: AdapterFacts) -> Markup:
    """Return accuracy and probe for each split, and metrics per class."""
    if not facts.version.evaluations:
        return notice("No evaluation for this version.")
    results = facts.results
    return render(
        "catalog/results",
        evaluation=evaluation_table(facts.version),
        results=results,
        classes=class_table(results.details) if results is not None else "",
        reliability=reliability_html(facts),
    )


def reliability_html(facts: AdapterFacts) -> Markup:
    """Return how well the version tells what it does not know."""
    if facts.reliability is None:
        return notice(NO_RELIABILITY)
    return render("catalog/reliability", sentences=facts.reliability.sentences)


def changes_html(facts: AdapterFacts) -> Markup:
    """Return the settings that differ from the version before, and what changed in the data."""
    revision = Revision.from_json(facts.lineage.dataset_revision)
    return render(
        "catalog/changes",
        version=facts.version.version,
        previous=facts.previous.version if facts.previous is not None else None,
        data="" if revision is None else f"Data, revision {revision.number}: {revision.changes}.",
        rows=[[row.key, *(_setting(row.key, value) for value in row.values)] for row in facts.differences],
    )


def origin_html(facts: AdapterFacts) -> Markup:
    """Return base, dataset, run and size, versions from the same dataset, and requests per version."""
    version = facts.version
    about = {
        "Published": f"{version.created_at:%Y-%m-%d %H:%M} UTC by {version.created_by}",
        "Owner": facts.adapter.owner,
        **_data(facts.lineage),
        "Base": f"{version.base.name}, weights {version.base.weights_sha256[:SHORT]}",
        "Adapter weights": version.weights_sha256[:SHORT],
        "Adapter": f"{version.adapter_type}, {version.n_params:,} parameters",
        "Size": size_text(version.size_bytes),
        "Input": f"{version.image_size} px",
        **_related(facts.lineage),
    }
    return render("catalog/origin", facts=about, run_id=facts.lineage.run_id, usage=_usage(facts))


def _data(lineage: Lineage) -> dict[str, str]:
    run = {"Run": lineage.run_id[:8] if lineage.run_id is not None else "none (imported)"}
    if lineage.dataset is None:
        return {"Dataset": "unknown", **run}
    data = lineage.dataset
    shown = f"{data.name}, {data.n_images:,} images in {data.n_classes} classes"
    return {"Dataset": shown, **_revision(lineage), "Fingerprint": data.fingerprint[:SHORT], **run}


def _revision(lineage: Lineage) -> dict[str, str]:
    revision = Revision.from_json(lineage.dataset_revision)
    if revision is None:
        return {}
    return {f"Revision {revision.number}": f"{revision.changes}, made from {revision.before[:SHORT]}"}


def _related(lineage: Lineage) -> dict[str, str]:
    facts = {"From the same run": ", ".join(lineage.siblings)} if lineage.siblings else {}
    same = lineage.same_data
    if same is not None and same.n_versions:
        more = same.n_versions - NAMES_SHOWN
        named = ", ".join(same.versions[:NAMES_SHOWN])
        facts["From the same dataset"] = named + (f" and {more:,} more" if more > 0 else "")
    return facts


def _usage(facts: AdapterFacts) -> list[list[str]]:
    return [
        [str(number), f"{total.n:,}", f"{total.errors:,}", _milliseconds(total.mean_ms)]
        for number, total in sorted(facts.usage.items(), reverse=True)
    ]


def aliases_html(facts: AdapterFacts, *, can_roll_back: bool) -> Markup:
    """Return the version of each alias, and the history of moves.

    Args:
        facts: Facts about the open version.
        can_roll_back: Whether the visitor may move aliases.
    """
    moves = [_move(move) for move in facts.moves[:MOVES_SHOWN]]
    return render(
        "catalog/aliases",
        aliases=facts.adapter.aliases,
        can_roll_back=can_roll_back,
        moves=moves,
        n_moves=len(facts.moves),
    )


def stale_html(events: Sequence[AuditEvent]) -> Markup:
    """Return a notice of who changed the adapter since the card was shown, newest first."""
    told = list(dict.fromkeys(f"{one.actor} {_DONE.get(one.kind, one.kind)}" for one in events))
    return notice(f"{', '.join(told)}.", title="Updated:")


def _move(move: AliasMove) -> str:
    before = "none" if move.before is None else f"version {move.before}"
    after = "none" if move.after is None else f"version {move.after}"
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
