"""Rules for training in a public demo, checked before a run is created."""

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

if TYPE_CHECKING:  # the check of a name needs neither torch nor Pillow
    from loravit_web.datasets import ImageDataset, Plan
    from loravit_web.training.estimate import Estimate

MAX_SLUG_LENGTH = 63
"""Maximum number of characters of a slug."""
_MARK_BYTES = 4
_DAY = timedelta(days=1)


class BeyondDemo(LoraVitError):
    """A training that exceeds the rules of the demo."""


def check_data(rules: DemoRules, dataset: ImageDataset) -> None:
    """Check the size of a dataset.

    Args:
        rules: Rules of the demo.
        dataset: Training images.

    Raises:
        BeyondDemo: If the dataset has too many classes or images.
    """
    _check_amounts(rules, len(dataset.classes), len(dataset.items))


def check_time(rules: DemoRules, cost: Estimate) -> None:
    """Check the expected duration of a training.

    Args:
        rules: Rules of the demo.
        cost: Estimate of the training.

    Raises:
        BeyondDemo: If the training is expected to take too long.
    """
    if cost.seconds > rules.minutes * 60:
        raise BeyondDemo(
            f"This training would take about {cost.seconds / 60:.0f} minutes, but the limit of this demo is "
            f"{rules.minutes:g}. Choose the preset draft, fewer epochs or a smaller image size."
        )


def check_plan(rules: DemoRules, plan: Plan) -> None:
    """Check the size of a dataset before its images are read.

    Args:
        rules: Rules of the demo.
        plan: Class and split of each image.

    Raises:
        BeyondDemo: If there are too many classes or images.
    """
    classes = {name for placement in plan.placements for name in placement.class_names}
    _check_amounts(rules, len(classes), len(plan.placements))


def check_daily_runs(rules: DemoRules, registry: Registry, visitor: str, now: datetime) -> None:
    """Check the number of runs that a visitor created in the last 24 hours.

    Args:
        rules: Rules of the demo.
        registry: Registry with all runs.
        visitor: Name of the visitor.
        now: Current time.

    Raises:
        BeyondDemo: If the visitor reached the daily limit.
    """
    recent = [run for run in registry.runs.list(limit=1000) if run.created_at > now - _DAY]
    if sum(run.created_by == visitor for run in recent) >= rules.runs:
        raise daily_limit_reached(rules)


def daily_limit_reached(rules: DemoRules) -> BeyondDemo:
    """Return the error for a visitor who reached the daily limit."""
    return BeyondDemo(f"You reached this demo's limit of {rules.runs} runs per day. Try again tomorrow.")


def slug_of(visitor: str, slug: str) -> str:
    """Return the slug of a run. Slugs of a demo's visitors get a suffix, so that they cannot collide.

    Args:
        visitor: Name of the visitor. Only slugs of a demo's visitors are changed.
        slug: Slug that was chosen.
    """
    if not is_guest(visitor):
        return slug
    mark = hashlib.blake2b(visitor.encode(), digest_size=_MARK_BYTES).hexdigest()
    if slug.endswith(f"-{mark}"):
        return slug
    return f"{slug[: MAX_SLUG_LENGTH - len(mark) - 1].rstrip('-')}-{mark}"


def check_name(registry: Registry, visitor: str, name: str) -> None:
    """Check that a name is not used by an adapter or a run of the demo's operator or another visitor.

    Args:
        registry: Registry with all adapters and runs.
        visitor: Name of the visitor.
        name: Title or slug of the adapter.

    Raises:
        BeyondDemo: If the name is taken.
    """
    slug, _title = slugified(name)
    own = slug_of(visitor, slug)
    if any(not is_guest(owner) for owner in _owners(registry, slug)) or _owners(registry, own) - {visitor}:
        raise BeyondDemo(f"The name {slug} is taken in this demo. Choose another name.")


def check_interrupted(run: Run) -> None:
    """Check that the app interrupted a run which a visitor wants to resume.

    Args:
        run: The ended run.

    Raises:
        BeyondDemo: If the run was cancelled by its visitor or failed.
    """
    if run.status != "interrupted":
        raise BeyondDemo("This demo only resumes runs that it interrupted. Start a new run.")


def _owners(registry: Registry, slug: str) -> set[str]:
    owners = {run.created_by for run in registry.runs.list(status=("queued", "running"), slug=slug)}
    with contextlib.suppress(UnknownAdapter):
        owners.add(registry.catalog.adapter(slug).owner)
    return owners


def _check_amounts(rules: DemoRules, classes: int, images: int) -> None:
    for count, limit, noun in ((classes, rules.classes, "classes"), (images, rules.images, "images")):
        if count > limit:
            raise BeyondDemo(
                f"Your data has {count} {noun}, but the limit of this demo is {limit}. Use fewer {noun}."
            )
