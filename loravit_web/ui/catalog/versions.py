"""HTML of the versions of an adapter: a table from which a version is opened, compared and promoted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from loravit_web.catalog.facts import AdapterFacts
from loravit_web.catalog.reliability import SPLITS
from loravit_web.ui.kit.markup import with_interval
from loravit_web.ui.language.texts import _, numeral
from loravit_web.ui.language.words import age
from loravit_web.ui.templates import render
from registry import DEFAULT_ALIAS, Evaluation, Version

COMPARED = 2
"""Number of versions that are compared."""
USUAL_ALIASES = ("production", "staging", DEFAULT_ALIAS)


@dataclass(frozen=True)
class VersionRow:
    """A version in the table.

    Attributes:
        version: The version.
        accuracy: Accuracy with its interval, or a dash.
        split: Split of the accuracy, or an empty text.
        names: Aliases, and ``latest`` or ``withdrawn``.
        preset: Preset of its training, or a dash.
        age: How long ago it was published.
        requests: Number of requests.
        is_open: Whether the card shows the version.
        is_ticked: Whether the version is compared.
    """

    version: Version
    accuracy: str
    split: str
    names: tuple[str, ...]
    preset: str
    age: str
    requests: str
    is_open: bool
    is_ticked: bool


def versions_html(
    facts: AdapterFacts, ticked: Collection[str], now: datetime, *, can_promote: bool
) -> Markup:
    """Return the table of all versions, newest first.

    Args:
        facts: Facts about the open version.
        ticked: References of the compared versions.
        now: Current time.
        can_promote: Whether the visitor may promote versions.
    """
    rows = [_row(facts, one, one.ref in ticked, now) for one in facts.versions]
    return render(
        "catalog/versions",
        rows=rows,
        can_promote=can_promote,
        can_compare=len(rows) > 1,
        n_ticked=len(ticked),
    )


def judged_on(version: Version) -> Evaluation | None:
    """Return the evaluation of a version on its test images, else on its validation images, or None."""
    return next(filter(None, map(version.evaluation, SPLITS)), None)


def ticked_after(ticked: Collection[str], ref: str, *, on: bool) -> list[str]:
    """Return the compared versions after one was selected or deselected. The earliest one makes room.

    Args:
        ticked: References of the compared versions.
        ref: Reference of the version.
        on: Whether it was selected.
    """
    others = [one for one in ticked if one != ref]
    return [*others, ref][-COMPARED:] if on else others


def alias_to_promote(facts: AdapterFacts, version: Version) -> str:
    """Return the alias that a promotion of a version most likely concerns."""
    elsewhere = [one.alias for one in facts.adapter.aliases if one.version != version.version]
    usual = [alias for alias in USUAL_ALIASES if alias in elsewhere]
    names = {one.alias for one in facts.adapter.aliases}
    unused = [alias for alias in USUAL_ALIASES if alias not in names]
    return next(iter([*usual, *elsewhere, *unused]), USUAL_ALIASES[0])


def _row(facts: AdapterFacts, version: Version, is_ticked: bool, now: datetime) -> VersionRow:
    judged = judged_on(version)
    usage = facts.usage.get(version.version)
    return VersionRow(
        version=version,
        accuracy="–" if judged is None else with_interval(judged),
        split="" if judged is None else judged.split,
        names=names_of(facts, version),
        preset=facts.presets.get(version.version, "–").capitalize(),
        age=age(version.created_at, now),
        requests=numeral(usage.n if usage is not None else 0),
        is_open=version.id == facts.version.id,
        is_ticked=is_ticked,
    )


def names_of(facts: AdapterFacts, version: Version) -> tuple[str, ...]:
    """Return the aliases of a version, and whether it is the newest one or withdrawn."""
    if version.withdrawn_at is not None:
        return (_("withdrawn"),)
    newest = facts.adapter.newest
    latest = (_("latest"),) if newest is not None and newest.id == version.id else ()
    return (*latest, *(one.alias for one in facts.adapter.aliases if one.version == version.version))
