"""What a visitor of a public demo may train, checked before the run exists."""

from __future__ import annotations

import contextlib
import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from loravit_web.access.rights import is_guest
from loravit_web.catalog.naming import slugified
from loravit_web.errors import LoraVitError
from loravit_web.settings.modes import DemoRules
from registry import Registry, Run, UnknownAdapter

if TYPE_CHECKING:  # they load torch and Pillow, which the check of a name does not need
    from loravit_web.datasets import ImageDataset, Plan
    from loravit_web.training.estimate import Estimate

LONGEST_SLUG = 63
_MARK_BYTES = 4
_DAY = timedelta(days=1)


class BeyondDemo(LoraVitError):
    """More than a visitor of the demo may train."""


def check_data(rules: DemoRules, dataset: ImageDataset) -> None:
    """
    Raises:
        BeyondDemo: if the data has more classes or images than a visitor may train on.
    """
    _check_amounts(rules, len(dataset.classes), len(dataset.items))


def check_time(rules: DemoRules, cost: Estimate) -> None:
    """
    Raises:
        BeyondDemo: if the training is expected to take too long.
    """
    if cost.seconds > rules.minutes * 60:
        raise BeyondDemo(
            f"This training would take about {cost.seconds / 60:.0f} minutes, and a demo's at most "
            f"{rules.minutes:g}: choose the preset draft, fewer epochs or a smaller image size."
        )


def check_plan(rules: DemoRules, plan: Plan) -> None:
    """
    Raises:
        BeyondDemo: as `check_data`, before anything of the images is read.
    """
    _check_amounts(rules, len({one.class_name for one in plan.placements}), len(plan.placements))


def check_turns(rules: DemoRules, registry: Registry, visitor: str, now: datetime) -> None:
    """
    Raises:
        BeyondDemo: if the visitor has trained as often as one may in a day.
    """
    recent = [run for run in registry.runs.list(limit=1000) if run.created_at > now - _DAY]
    if sum(run.created_by == visitor for run in recent) >= rules.runs:
        raise no_more_turns(rules)


def no_more_turns(rules: DemoRules) -> BeyondDemo:
    """The error that says so."""
    return BeyondDemo(f"This demo trains {rules.runs} times a day for each visitor: come again tomorrow.")


def slug_of(visitor: str, slug: str) -> str:
    """The slug that a training gets: a demo's visitors have slugs of their own, so that none meets another's.

    Args:
        visitor: who trains; the slug of anybody else's training stays as it is.
    """
    if not is_guest(visitor):
        return slug
    mark = hashlib.blake2b(visitor.encode(), digest_size=_MARK_BYTES).hexdigest()
    if slug.endswith(f"-{mark}"):
        return slug
    return f"{slug[: LONGEST_SLUG - len(mark) - 1].rstrip('-')}-{mark}"


def check_name(registry: Registry, visitor: str, name: str) -> None:
    """
    Args:
        registry: all of it.

    Raises:
        BeyondDemo: if the name is that of an adapter of the demo itself, also of one that is being trained.
    """
    slug, _title = slugified(name)
    own = slug_of(visitor, slug)
    if any(not is_guest(owner) for owner in _owners(registry, slug)) or _owners(registry, own) - {visitor}:
        raise BeyondDemo(f"The name {slug} is taken in this demo: choose another.")


def check_interrupted(run: Run) -> None:
    """
    Raises:
        BeyondDemo: if a run that is to go on ended by its visitor's will or fault, and not by the app's.
    """
    if run.status != "interrupted":
        raise BeyondDemo("This demo goes on only with trainings that it interrupted: start a new one.")


def _owners(registry: Registry, slug: str) -> set[str]:
    owners = {run.created_by for run in registry.runs.list(status=("queued", "running"), slug=slug)}
    with contextlib.suppress(UnknownAdapter):
        owners.add(registry.catalog.adapter(slug).owner)
    return owners


def _check_amounts(rules: DemoRules, classes: int, images: int) -> None:
    for n, most, what in ((classes, rules.classes, "classes"), (images, rules.images, "images")):
        if n > most:
            raise BeyondDemo(f"This demo trains on at most {most} {what}, and these are {n}: give it fewer.")
