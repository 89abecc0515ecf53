"""What an import changes for the person, in sentences: classes and images that are left out come first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from loravit_web.datasets.ingestion import Ingested
from loravit_web.datasets.layout.plan import Plan
from loravit_web.datasets.scaling import scaled_notes
from loravit_web.datasets.similar import similar_warnings
from loravit_web.util.text import listed, plural

MAX_NAMED = 5
"""Maximum number of classes for which unreadable images are counted."""


def effects_of(plan: Plan, ingested: Sequence[Ingested], classes: Collection[str]) -> tuple[str, ...]:
    """Return the sentences about what is left out, most important first.

    Args:
        plan: Candidates.
        ingested: Result of each candidate.
        classes: Classes that have images.
    """
    return (*_lost(plan, ingested, classes), *plan.effects, *_unreadable(ingested, classes))


def notes_of(plan: Plan, ingested: Sequence[Ingested], classes: Collection[str]) -> tuple[str, ...]:
    """Return the sentences about what was taken for what."""
    return (
        *similar_warnings(classes),
        *plan.notes,
        *_otherwise_named(ingested),
        *_first_pages(ingested),
        *scaled_notes([result.levels for result in ingested if result.levels is not None]),
    )


def _lost(plan: Plan, ingested: Sequence[Ingested], classes: Collection[str]) -> list[str]:
    named = (name for place in plan.placements for name in place.class_names)
    planned = dict.fromkeys([*named, *plan.lost])
    lost = sorted(name for name in planned if name not in classes)
    if not lost:
        return []
    unread = [result for result in ingested if set(result.placement.class_names) & set(lost)]
    reasons = Counter(result.reason for result in unread if result.reason)
    why = "".join(f" {plural(count, 'file')}: {reason}" for reason, count in reasons.most_common(1))
    quoted = listed([f"“{name}”" for name in lost])
    if len(lost) == 1:
        return [f"The class {quoted} has no readable image and is left out.{why}"]
    return [f"The classes {quoted} have no readable image and are left out.{why}"]


def _unreadable(ingested: Sequence[Ingested], classes: Collection[str]) -> list[str]:
    total = Counter(name for result in ingested for name in result.placement.class_names)
    bad = Counter(name for result in ingested if result.reason for name in result.placement.class_names)
    found = [(name, count) for name, count in bad.most_common() if name in classes]
    sentences = [
        f"{count} of {plural(total[name], 'image')} of “{name}” cannot be read and "
        f"{'is' if count == 1 else 'are'} left out."
        for name, count in found[:MAX_NAMED]
    ]
    rest = sum(count for _, count in found[MAX_NAMED:])
    if rest:
        more = plural(len(found) - MAX_NAMED, "other class").replace("classs", "classes")
        sentences.append(f"{plural(rest, 'image')} of {more} cannot be read either.")
    return sentences


def _otherwise_named(ingested: Sequence[Ingested]) -> list[str]:
    found = [result for result in ingested if result.is_otherwise_named]
    if not found:
        return []
    first = found[0]
    classes = listed(sorted({f"“{name}”" for one in found for name in one.placement.class_names}), most=3)
    return [
        f"{plural(len(found), 'file')} of {classes} {_were(found)} read by content, not by name: "
        f"{first.placement.path} is a {first.label} file."
    ]


def _were(found: Sequence[Ingested]) -> str:
    return "was" if len(found) == 1 else "were"


def _first_pages(ingested: Sequence[Ingested]) -> list[str]:
    found = [result.placement.path for result in ingested if result.has_more_pages]
    if not found:
        return []
    return [
        f"Only the first page of {plural(len(found), 'file')} with several pages is used, such as of "
        f"{found[0]}."
    ]
