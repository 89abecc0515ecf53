"""What a visitor of a public demo may train, checked before the run exists."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

from loravit_web.access import APP, is_guest
from loravit_web.datasets import ImageDataset
from loravit_web.errors import LoraVitError
from loravit_web.modes import DemoRules
from loravit_web.naming import slugified
from loravit_web.training.estimate import Estimate
from registry import Registry, Run, UnknownAdapter

_DAY = timedelta(days=1)


class BeyondDemo(LoraVitError):
    """More than a visitor of the demo may train."""


def check_data(rules: DemoRules, dataset: ImageDataset) -> None:
    """
    Raises:
        BeyondDemo: if the data has more classes or images than a visitor may train on.
    """
    for n, most, what in (
        (len(dataset.classes), rules.classes, "classes"),
        (len(dataset.items), rules.images, "images"),
    ):
        if n > most:
            raise BeyondDemo(f"This demo trains on at most {most} {what}, and these are {n}: give it fewer.")


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


def check_turns(rules: DemoRules, registry: Registry, visitor: str, now: datetime) -> None:
    """
    Raises:
        BeyondDemo: if the visitor has trained as often as one may in a day.
    """
    recent = [run for run in registry.runs.list(limit=1000) if run.created_at > now - _DAY]
    if sum(run.created_by == visitor for run in recent) >= rules.runs:
        raise BeyondDemo(f"This demo trains {rules.runs} times a day for each visitor: come again tomorrow.")


def check_name(registry: Registry, visitor: str, name: str) -> None:
    """
    Raises:
        BeyondDemo: if the training would become a version of somebody else's adapter, also of one that is
            still being trained.
    """
    slug, _title = slugified(name)
    owners = {run.created_by for run in registry.runs.list(status=("queued", "running"), slug=slug)}
    with contextlib.suppress(UnknownAdapter):
        owners.add(registry.catalog.adapter(slug).owner)
    if owners - {visitor}:
        raise BeyondDemo(f"The name {slug} is taken in this demo: choose another.")


def check_interrupted(run: Run) -> None:
    """
    Raises:
        BeyondDemo: if a run that is to go on ended by its visitor's will or fault, and not by the app's.
    """
    if run.status != "interrupted":
        raise BeyondDemo("This demo goes on only with trainings that it interrupted: start a new one.")


def expire(rules: DemoRules, registry: Registry, now: datetime) -> list[str]:
    """Take what visitors trained long enough ago out of the catalog; returns the slugs."""
    old = [
        version.slug
        for version in registry.catalog.current()
        if is_guest(version.created_by) and version.created_at < now - timedelta(hours=rules.hours)
    ]
    for slug in old:
        registry.catalog.archive(slug, actor=APP)
    return old
