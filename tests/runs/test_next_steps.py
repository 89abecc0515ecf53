"""What can be done with a run follows from its true state alone."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from loravit_web.access.rights import LOCAL, member
from loravit_web.runs.next_steps import (
    ADVICE,
    advice,
    best_step,
    half_batch,
    refusal_of,
    steps_of,
    title_and_owner,
)
from registry import Base, DatasetSummary, Run

MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def run(status: Any, **changes: Any) -> Run:
    values: dict[str, Any] = dict.fromkeys(Run.__dataclass_fields__)
    values |= {
        "id": "a" * 32,
        "title": "Cups",
        "created_by": "ann",
        "created_at": MOMENT,
        "progress": 0.0,
        "config": {"batch_size": 32},
        "environment": {},
        "base": Base(1, "tiny", "00", "vit", 8, 2, MOMENT),
        "dataset": DatasetSummary("f" * 64, "cups.zip", 10, 2),
        "resumed": 0,
        "seed": 0,
    }
    return Run(**(values | {"status": status} | changes))


@pytest.mark.parametrize(
    ("one", "steps", "best"),
    [
        (run("queued"), {"cancel"}, None),
        (run("running"), {"cancel"}, None),
        (run("running", stage="Reading 80 train images"), {"cancel"}, None),
        (run("running", stage="Epoch 1 of 6"), {"cancel", "keep"}, "keep"),
        (run("running", stop_request="keep"), set(), None),
        (run("completed", published="cups@1"), {"result"}, "result"),
        (run("completed"), set(), None),
        (run("cancelled"), {"resume"}, "resume"),
        (run("interrupted", error_kind="lost"), {"resume", "retry"}, "resume"),
        (run("failed", error_kind="memory"), {"resume", "retry"}, "retry"),
        (run("failed", error_kind="memory", config={"batch_size": 1}), {"resume"}, "resume"),
        (run("failed", error_kind="diverged"), {"resume", "retry"}, None),
    ],
)
def test_each_state_has_its_steps_and_one_that_is_best(one: Run, steps: set[str], best: str | None) -> None:
    assert steps_of(one) == steps
    assert best_step(one) == best


def test_only_a_run_that_went_wrong_comes_with_advice() -> None:
    assert advice(run("failed", error_kind="disk")) == ADVICE["disk"]
    assert advice(run("interrupted")) == ADVICE["other"]
    assert advice(run("completed")) is None


def test_half_a_batch_is_at_least_one_image() -> None:
    assert half_batch(run("failed")) == 16
    assert half_batch(run("failed", config={"batch_size": 1})) == 1


def test_a_run_is_changed_by_whoever_started_it_and_by_admins() -> None:
    assert refusal_of(LOCAL, run("running")) is None
    assert refusal_of(member("ann", "editor"), run("running")) is None
    assert "belongs to ann" in str(refusal_of(member("bob", "editor"), run("running")))
    assert "editor" in str(refusal_of(member("ann", "viewer"), run("running")))


def test_a_run_is_said_to_be_somebodys_where_people_have_names() -> None:
    assert title_and_owner(run("running")) == "“Cups” by ann"
    assert title_and_owner(run("running", created_by=LOCAL.name)) == "“Cups”"
