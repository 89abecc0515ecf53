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
from loravit_web.ui.language.texts import _, gettext_noop, ngettext, numeral
from loravit_web.ui.runs.watch import dataset_line
from loravit_web.ui.templates import render
from registry import ABSENT, AliasMove, AuditEvent, Lineage

CLASSES_SHOWN = 60
MOVES_SHOWN = 50
NAMES_SHOWN = 10
SHORT = 12
_DONE = {
    "published": gettext_noop("published a version"),
    "promoted": gettext_noop("promoted a version"),
    "rolled_back": gettext_noop("rolled back an alias"),
    "removed": gettext_noop("removed an alias"),
    "protected": gettext_noop("protected an alias"),
    "unprotected": gettext_noop("removed the protection of an alias"),
    "withdrawn": gettext_noop("withdrew a version"),
    "archived": gettext_noop("archived the adapter"),
    "restored": gettext_noop("restored the adapter"),
    "tagged": gettext_noop("changed the tags"),
    "described": gettext_noop("changed title or description"),
    "adjusted": gettext_noop("changed the thresholds of a version"),
    "titled": gettext_noop("changed the title of a class"),
    "forgotten": gettext_noop("deleted a version"),
}


def none_chosen() -> Markup:
    """Return the notice in place of the card before an adapter is selected."""
    return notice(_("Select an adapter to see its versions and results."))


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
        return notice(_("No evaluation for this version."))
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
        data=""
        if revision is None
        else _("Data, revision {number}: {changes}.", number=revision.number, changes=revision.changes),
        rows=[[row.key, *(_setting(row.key, value) for value in row.values)] for row in facts.differences],
    )


def origin_html(facts: AdapterFacts) -> Markup:
    """Return base, dataset, run and size, versions from the same dataset, and requests per version."""
    version = facts.version
    about = {
        _("Published"): _(
            "{time} UTC by {person}",
            time=f"{version.created_at:%Y-%m-%d %H:%M}",
            person=version.created_by,
        ),
        _("Owner"): facts.adapter.owner,
        **_data(facts.lineage),
        _("Base"): _(
            "{base}, weights {hash}", base=version.base.name, hash=version.base.weights_sha256[:SHORT]
        ),
        _("Adapter weights"): version.weights_sha256[:SHORT],
        _("Adapter"): ngettext(
            "{type}, {n} parameter", "{type}, {n} parameters", version.n_params, type=version.adapter_type
        ),
        _("Size"): size_text(version.size_bytes),
        _("Input"): f"{version.image_size} px",
        **_related(facts.lineage),
    }
    return render("catalog/origin", facts=about, run_id=facts.lineage.run_id, usage=_usage(facts))


def _data(lineage: Lineage) -> dict[str, str]:
    run = {_("Run"): lineage.run_id[:8] if lineage.run_id is not None else _("none (imported)")}
    if lineage.dataset is None:
        return {_("Dataset"): _("unknown"), **run}
    data = lineage.dataset
    shown = dataset_line(data.name, data.n_images, data.n_classes)
    about = {_("Dataset"): shown, **_revision(lineage), _("Fingerprint"): data.fingerprint[:SHORT]}
    return {**about, **run}


def _revision(lineage: Lineage) -> dict[str, str]:
    revision = Revision.from_json(lineage.dataset_revision)
    if revision is None:
        return {}
    name = _("Revision {number}", number=revision.number)
    return {
        name: _("{changes}, made from {before}", changes=revision.changes, before=revision.before[:SHORT])
    }


def _related(lineage: Lineage) -> dict[str, str]:
    facts = {_("From the same run"): ", ".join(lineage.siblings)} if lineage.siblings else {}
    same = lineage.same_data
    if same is not None and same.n_versions:
        more = same.n_versions - NAMES_SHOWN
        named = ", ".join(same.versions[:NAMES_SHOWN])
        facts[_("From the same dataset")] = (
            named if more <= 0 else _("{names} and {n} more", names=named, n=numeral(more))
        )
    return facts


def _usage(facts: AdapterFacts) -> list[list[str]]:
    return [
        [str(number), numeral(total.n), numeral(total.errors), _milliseconds(total.mean_ms)]
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
    told = list(dict.fromkeys(f"{one.actor} {_(_DONE.get(one.kind, one.kind))}" for one in events))
    return notice(f"{', '.join(told)}.", title=_("Updated:"))


def _move(move: AliasMove) -> str:
    how = {
        "promoted": gettext_noop("{time} {alias}: {before} → {after}, promoted by {person}"),
        "rolled_back": gettext_noop("{time} {alias}: {before} → {after}, rolled back by {person}"),
        "removed": gettext_noop("{time} {alias}: {before} → {after}, removed by {person}"),
    }[move.kind]
    return _(
        how,
        time=f"{move.moved_at:%Y-%m-%d %H:%M}",
        alias=move.alias,
        before=_version(move.before),
        after=_version(move.after),
        person=move.moved_by,
    )


def _version(number: int | None) -> str:
    return _("none") if number is None else _("version {number}", number=number)


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{numeral(value, ',.0f')} ms"


def _setting(key: str, value: Any) -> str:
    if value is ABSENT:
        return "–"
    if value is None:
        return "null"
    if key.endswith(("sha256", "fingerprint")):
        return str(value)[:SHORT]
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
