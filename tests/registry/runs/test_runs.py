"""The run history and its queue."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text

from registry import (
    AmbiguousRun,
    InvalidSlug,
    InvalidValue,
    NewRun,
    NewVersion,
    Registry,
    Run,
    RunFinished,
    RunIdTooShort,
    RunLost,
    RunNotResumable,
    RunProgress,
    UnknownBase,
    UnknownDataset,
    UnknownRun,
)
from registry.runs import runs as runs_module
from tests.registry.conftest import only_postgres

MakeRun = Callable[..., NewRun]
ENDS = ["completed", "failed", "cancelled", "interrupted"]


@pytest.fixture
def running(registry: Registry, new_run: MakeRun) -> Run:
    return registry.runs.create(new_run(), worker="w")


def finished(registry: Registry, new_run: MakeRun, status: Any) -> Run:
    run = registry.runs.create(new_run(), worker="w")
    return registry.runs.finish(run.lease, status, error="It broke.")


def test_a_new_run_is_queued_with_all_that_was_given(registry: Registry, new_run: MakeRun) -> None:
    run = registry.runs.create(new_run())
    assert (run.status, run.worker, run.started_at, run.progress, run.resumed) == (
        "queued",
        None,
        None,
        0.0,
        0,
    )
    assert run.config == {"epochs": 5, "adapter": {"r": 8, "targets": ["q", "v"]}}
    assert run.base.name == "vit_small"
    assert (run.dataset.name, run.dataset.n_images, run.dataset.n_classes) == ("pets", 16, 2)
    assert registry.runs.get(run.id) == run


def test_a_run_records_the_user_who_asked_for_it(registry: Registry, new_run: Callable[..., NewRun]) -> None:
    run = registry.runs.create(new_run(), actor="ann")
    assert registry.runs.get(run.id).created_by == "ann"
    assert registry.runs.create(new_run()).created_by == "unknown"


def test_a_run_created_for_a_worker_is_running_at_once(running: Run) -> None:
    assert (running.status, running.worker) == ("running", "w")
    assert running.started_at == running.heartbeat_at == running.created_at


def test_create_returns_the_run_as_it_is_read_later_even_for_tuples(
    registry: Registry, new_run: MakeRun
) -> None:
    run = registry.runs.create(new_run(config={"targets": ("q", "v")}))
    assert run.config == {"targets": ["q", "v"]} == registry.runs.get(run.id).config


def test_every_leaf_of_the_config_is_a_parameter_under_its_dotted_key(
    registry: Registry, new_run: MakeRun, url: str
) -> None:
    registry.runs.create(new_run())
    with create_engine(url).connect() as connection:
        rows = connection.execute(text("SELECT key, value FROM run_params ORDER BY key")).all()
    assert rows == [("adapter.r", "8"), ("adapter.targets", '["q","v"]'), ("epochs", "5")]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"slug": "Pets"}, InvalidSlug),
        ({"base_id": 99}, UnknownBase),
        ({"dataset_id": 99}, UnknownDataset),
        ({"config": {"lr": float("nan")}}, InvalidValue),
        ({"config": {"a": {"b": 1}, "a.b": 2}}, InvalidValue),
        ({"environment": {"device": object()}}, InvalidValue),
        ({"seed": 2**64}, InvalidValue),
    ],
)
def test_a_run_that_cannot_be_stored_faithfully_is_refused(
    registry: Registry, new_run: MakeRun, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        registry.runs.create(new_run(**changes))
    assert registry.runs.list() == []


def test_a_run_is_found_by_the_beginning_of_its_id(registry: Registry, running: Run) -> None:
    assert registry.runs.get(running.id[:4]) == running


def test_the_beginning_of_two_ids_is_ambiguous(
    registry: Registry, new_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Uuid:
        hexes = iter(["abcd1" + "0" * 27, "abcd2" + "0" * 27])

        def __init__(self) -> None:
            self.hex = next(self.hexes)

    monkeypatch.setattr(runs_module.uuid, "uuid4", Uuid)
    first, _ = registry.runs.create(new_run()), registry.runs.create(new_run())
    with pytest.raises(AmbiguousRun, match=r"abcd10+, abcd20+"):
        registry.runs.get("abcd")
    assert registry.runs.get("abcd1") == first


@pytest.mark.parametrize(
    ("run_id", "error"),
    [("", RunIdTooShort), ("abc", RunIdTooShort), ("zzzz", UnknownRun), ("%%%%", UnknownRun)],
)
def test_the_beginning_of_no_id_is_refused(
    registry: Registry, running: Run, run_id: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        registry.runs.get(run_id)


def test_runs_are_listed_newest_first_by_status_and_slug_in_pages(
    registry: Registry, new_run: MakeRun
) -> None:
    a, b, c = (registry.runs.create(new_run(slug=slug)) for slug in ("cats", "dogs", "cats"))
    registry.runs.claim("w")
    assert [run.id for run in registry.runs.list()] == [c.id, b.id, a.id]
    assert [run.id for run in registry.runs.list(limit=1, offset=1)] == [b.id]
    assert [run.id for run in registry.runs.list(slug="cats")] == [c.id, a.id]
    assert [run.id for run in registry.runs.list(status=["queued"], slug="cats")] == [c.id]
    assert registry.runs.list(status=[]) == []
    assert (registry.runs.count("queued"), registry.runs.count("running")) == (2, 1)


def test_progress_is_returned_for_the_newest_and_the_active_runs(
    registry: Registry, new_run: MakeRun, running: Run
) -> None:
    ended = [finished(registry, new_run, "completed") for _ in range(3)]
    registry.runs.record_heartbeat(running.lease, stage="training", progress=0.5)
    registry.runs.request_stop(running.id, "keep")
    told = registry.runs.progress(2, active=10)
    assert {one.id for one in told[:2]} < {run.id for run in ended}
    assert told[2:] == (RunProgress(running.id, "running", "training", 0.5, "keep"),)
    assert len(registry.runs.progress(10, active=10)) == 4
    assert registry.runs.progress(0, active=0) == ()


def test_the_oldest_queued_run_is_claimed_first(registry: Registry, new_run: MakeRun) -> None:
    first, second = registry.runs.create(new_run()), registry.runs.create(new_run())
    assert [registry.runs.queue_position(run.id) for run in (first, second)] == [1, 2]
    assert registry.runs.queue() == (first.id, second.id)
    claimed = registry.runs.claim("w")
    assert claimed is not None
    assert (claimed.id, claimed.status, claimed.worker) == (first.id, "running", "w")
    assert claimed.started_at == claimed.heartbeat_at is not None
    assert [registry.runs.queue_position(run.id) for run in (first, second)] == [None, 1]


def test_nothing_is_claimed_from_an_empty_queue(registry: Registry, running: Run) -> None:
    assert registry.runs.claim("other") is None


def test_two_workers_never_claim_the_same_run(registry: Registry, new_run: MakeRun) -> None:
    created = {registry.runs.create(new_run()).id for _ in range(12)}
    begin = threading.Barrier(6)

    def work(name: str) -> list[str]:
        begin.wait()
        taken = []
        while (run := registry.runs.claim(name)) is not None:
            taken.append(run.id)
        return taken

    with ThreadPoolExecutor(6) as pool:
        claims = [run_id for taken in pool.map(work, map(str, range(6))) for run_id in taken]
    assert len(claims) == 12
    assert set(claims) == created


def test_a_heartbeat_updates_only_the_given_values(registry: Registry, running: Run) -> None:
    assert (
        registry.runs.record_heartbeat(running.lease, stage="epoch 1 of 10", progress=0.1, eta_seconds=90)
        is None
    )
    assert registry.runs.record_heartbeat(running.lease, progress=0.2) is None
    run = registry.runs.get(running.id)
    assert (run.stage, run.progress, run.eta_seconds) == ("epoch 1 of 10", 0.2, 90.0)
    assert run.heartbeat_at is not None
    assert running.heartbeat_at is not None
    assert run.heartbeat_at > running.heartbeat_at


@pytest.mark.parametrize(
    "wrong", [{"progress": 1.5}, {"progress": float("nan")}, {"eta_seconds": float("inf")}]
)
def test_a_heartbeat_with_a_number_out_of_range_is_refused(
    registry: Registry, running: Run, wrong: dict[str, float]
) -> None:
    with pytest.raises(InvalidValue):
        registry.runs.record_heartbeat(running.lease, **wrong)


def test_a_worker_that_lost_its_run_gets_an_error(registry: Registry, running: Run, clock: Any) -> None:
    with pytest.raises(RunLost, match="Stop working on it"):
        registry.runs.record_heartbeat(replace(running.lease, worker="other"))
    registry.runs.reap(dead={"w": None})
    with pytest.raises(RunLost):
        registry.runs.record_heartbeat(running.lease)
    with pytest.raises(RunLost):
        registry.runs.finish(running.lease, "completed")
    assert registry.runs.get(running.id).status == "interrupted"


def test_the_worker_sees_the_latest_stop_request_at_its_next_heartbeat(
    registry: Registry, running: Run
) -> None:
    registry.runs.request_stop(running.id, "cancel")
    assert registry.runs.request_stop(running.id, "keep").status == "running"
    assert registry.runs.record_heartbeat(running.lease) == "keep"


def test_stopping_a_queued_run_cancels_it_at_once(registry: Registry, new_run: MakeRun) -> None:
    run = registry.runs.request_stop(registry.runs.create(new_run()).id, "keep")
    assert run.status == "cancelled"
    assert run.ended_at is not None
    assert registry.runs.claim("w") is None


@pytest.mark.parametrize("status", ENDS)
def test_a_finished_run_cannot_be_stopped(registry: Registry, new_run: MakeRun, status: str) -> None:
    run = finished(registry, new_run, status)
    with pytest.raises(RunFinished, match=f"already {status}"):
        registry.runs.request_stop(run.id, "cancel")


def test_a_stop_request_other_than_cancel_and_keep_is_refused(registry: Registry, running: Run) -> None:
    with pytest.raises(InvalidValue, match="Use .cancel. or .keep."):
        registry.runs.request_stop(running.id, "pause")  # type: ignore[arg-type]


def test_a_run_keeps_the_kind_of_its_error_until_it_is_queued_again(registry: Registry, running: Run) -> None:
    ended = registry.runs.finish(running.lease, "failed", error="The disk is full.", error_kind="disk")
    assert (ended.error, ended.error_kind) == ("The disk is full.", "disk")
    again = registry.runs.requeue(running.id)
    assert (again.error, again.error_kind) == (None, None)


@pytest.mark.parametrize("status", ENDS)
def test_only_a_completed_run_has_full_progress(registry: Registry, new_run: MakeRun, status: Any) -> None:
    run = registry.runs.create(new_run(), worker="w")
    registry.runs.record_heartbeat(run.lease, progress=0.5, eta_seconds=5)
    run = registry.runs.finish(run.lease, status, error="It broke.", note="Kept epoch 3.")
    assert (run.status, run.error, run.note, run.eta_seconds) == (status, "It broke.", "Kept epoch 3.", None)
    assert run.progress == (1.0 if status == "completed" else 0.5)
    assert run.ended_at is not None


def test_a_run_cannot_end_as_queued(registry: Registry, running: Run) -> None:
    with pytest.raises(InvalidValue, match="'queued' is unknown. Use one of"):
        registry.runs.finish(running.lease, "queued")  # type: ignore[arg-type]


@pytest.mark.parametrize("status", ["failed", "cancelled", "interrupted"])
def test_a_run_that_did_not_complete_can_be_queued_again(
    registry: Registry, new_run: MakeRun, status: Any
) -> None:
    run = registry.runs.create(new_run(), worker="w")
    registry.runs.request_stop(run.id, "cancel")
    registry.runs.record_heartbeat(run.lease, progress=0.4)
    registry.runs.finish(run.lease, status, error="It broke.")
    again = registry.runs.requeue(run.id)
    assert (again.status, again.resumed, again.progress) == ("queued", 1, 0.4)
    assert (again.stop_request, again.error, again.ended_at, again.worker) == (None, None, None, None)
    claimed = registry.runs.claim("next")
    assert claimed is not None
    assert claimed.id == run.id


def test_a_completed_queued_or_running_run_cannot_be_queued_again(
    registry: Registry, new_run: MakeRun
) -> None:
    runs = [
        finished(registry, new_run, "completed"),
        registry.runs.create(new_run()),
        registry.runs.create(new_run(), worker="w"),
    ]
    for run in runs:
        with pytest.raises(RunNotResumable, match=f"is {run.status}, and only"):
            registry.runs.requeue(run.id)


def test_the_heartbeats_of_running_runs_are_returned_with_their_age(
    registry: Registry, new_run: MakeRun, clock: Any
) -> None:
    clock.step = timedelta(0)
    run = registry.runs.create(new_run(), worker="w")
    registry.runs.create(new_run())
    clock.now += timedelta(seconds=60)
    (heartbeat,) = registry.runs.heartbeats()
    assert (heartbeat.run_id, heartbeat.worker, heartbeat.sent_at) == (run.id, "w", run.heartbeat_at)
    assert heartbeat.age == timedelta(seconds=60)


def test_the_heartbeat_of_a_suspected_run_is_only_read_while_the_database_is_writable(
    registry: Registry, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = registry.runs.get(running.id)
    assert [heartbeat.run_id for heartbeat in registry.runs.heartbeats(suspected=[running.id])] == [
        running.id
    ]
    assert registry.runs.get(running.id) == before
    written: list[str] = []
    listened = registry._database.engine
    event.listen(listened, "before_cursor_execute", lambda *given: written.append(given[2]))
    registry.runs.heartbeats()
    assert not [statement for statement in written if statement.startswith("UPDATE")]
    registry.runs.heartbeats(suspected=[running.id])
    assert len([statement for statement in written if statement.startswith("UPDATE")]) == 2


def test_a_silent_run_is_reaped_unless_it_sent_a_heartbeat_since(
    registry: Registry, new_run: MakeRun, clock: Any
) -> None:
    silent, alive = (registry.runs.create(new_run(), worker=name) for name in ("old", "new"))
    queued = registry.runs.create(new_run())
    seen = {heartbeat.run_id: heartbeat.sent_at for heartbeat in registry.runs.heartbeats()}
    registry.runs.record_heartbeat(alive.lease)
    (reaped,) = registry.runs.reap(silent=seen)
    assert (reaped.id, reaped.status) == (silent.id, "interrupted")
    assert (
        reaped.error == "The training process stopped sending heartbeats. Resume the run or start it again."
    )
    assert reaped.error_kind == "lost"
    assert registry.runs.get(queued.id).status == "queued"
    assert registry.runs.get(alive.id).status == "running"


def test_the_runs_of_a_dead_worker_are_reaped_at_once(registry: Registry, new_run: MakeRun) -> None:
    dead = registry.runs.create(new_run(), worker="dead")
    registry.runs.create(new_run(), worker="alive")
    reaped = registry.runs.reap(dead={"dead": None})
    assert [run.id for run in reaped] == [dead.id]


def test_the_error_of_a_dead_worker_is_not_recorded_for_another(
    registry: Registry, new_run: MakeRun, clock: Any
) -> None:
    silent = registry.runs.create(new_run(), worker="silent")
    registry.runs.create(new_run(), worker="killed")
    seen = {silent.id: silent.heartbeat_at}
    reaped = registry.runs.reap(silent=seen, dead={"killed": "Killed."})
    assert {run.worker: run.error for run in reaped} == {
        "silent": runs_module.WORKER_SILENT,
        "killed": "Killed.",
    }


def test_a_worker_that_claims_its_run_again_cannot_write_under_the_earlier_claim(
    registry: Registry, new_run: MakeRun
) -> None:
    registry.runs.create(new_run())
    earlier = claimed_by(registry, "w")
    registry.runs.hand_back(earlier.lease)
    later = claimed_by(registry, "w")
    assert (earlier.lease.worker, earlier.attempt, later.attempt) == (later.lease.worker, 1, 2)
    for write in (
        lambda: registry.runs.record_heartbeat(earlier.lease),
        lambda: registry.runs.log_metrics(earlier.id, 1, {"loss": 1.0}, lease=earlier.lease),
        lambda: registry.runs.rewind(earlier.lease, 0),
        lambda: registry.run_files.put(earlier.id, "a.json", b"{}", lease=earlier.lease),
        lambda: registry.runs.hand_back(earlier.lease),
        lambda: registry.runs.finish(earlier.lease, "completed"),
    ):
        with pytest.raises(RunLost):
            write()
    assert registry.runs.record_heartbeat(later.lease) is None


def claimed_by(registry: Registry, worker: str) -> Run:
    run = registry.runs.claim(worker)
    assert run is not None
    return run


def test_a_lost_worker_moves_no_alias(
    registry: Registry, running: Run, new_version: Callable[..., NewVersion]
) -> None:
    registry.catalog.publish(new_version(), actor="me")
    registry.aliases.promote("pets@1", "stable", actor="me")
    registry.runs.reap(dead={"w": None})
    with pytest.raises(RunLost):
        registry.aliases.promote("pets@1", "default", actor="me", lease=running.lease)
    with pytest.raises(RunLost):
        registry.aliases.remove("pets", "stable", actor="me", lease=running.lease)
    assert [alias.alias for alias in registry.aliases.list("pets")] == ["stable"]


def test_a_lost_run_is_queued_again_a_limited_number_of_times(registry: Registry, new_run: MakeRun) -> None:
    registry.runs.create(new_run())
    for attempt in (1, 2, 3):
        run = claimed_by(registry, f"w{attempt}")
        registry.runs.record_heartbeat(run.lease, progress=0.5)
        (taken,) = registry.runs.reap(dead={f"w{attempt}": None}, take_ups=2)
        assert taken.attempt == attempt
    assert (taken.status, taken.error_kind, taken.take_ups) == ("interrupted", "lost", 2)
    again = registry.runs.requeue(taken.id)
    assert (again.take_ups, again.progress, again.resumed) == (0, 0.5, 3)


def test_what_a_user_requested_of_a_lost_run_is_carried_out(registry: Registry, new_run: MakeRun) -> None:
    for request, status in (("cancel", "cancelled"), ("keep", "queued")):
        run = registry.runs.create(new_run(), worker="w")
        registry.runs.request_stop(run.id, request)  # type: ignore[arg-type]
        registry.runs.reap(dead={"w": None}, take_ups=1)
        assert registry.runs.get(run.id).status == status
    assert registry.runs.record_heartbeat(claimed_by(registry, "next").lease) == "keep"


@pytest.mark.parametrize(("request_", "status"), [(None, "queued"), ("cancel", "cancelled")])
def test_a_run_that_is_handed_back_waits_for_another_worker(
    registry: Registry, running: Run, request_: Any, status: str
) -> None:
    if request_ is not None:
        registry.runs.request_stop(running.id, request_)
    back = registry.runs.hand_back(running.lease)
    assert (back.status, back.take_ups) == (status, 0)


@only_postgres
def test_a_heartbeat_does_not_wait_for_a_publication(registry: Registry, running: Run) -> None:
    with registry._database.writing(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(registry.runs.record_heartbeat, running.lease).result(timeout=10) is None
        pool.submit(registry.nodes.report, "n", "forge", 1).result(timeout=10)


@only_postgres
def test_heartbeats_have_the_time_of_the_server_whatever_the_clocks_of_the_machines(
    url: str, registry: Registry, new_run: MakeRun, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = new_run()
    monkeypatch.setattr("registry.database.db.utc_now", lambda: datetime(2000, 1, 1, tzinfo=timezone.utc))
    with Registry.open(url, tmp_path / "artifacts") as behind:
        behind.runs.create(new, worker="w")
    monkeypatch.undo()
    with Registry.open(url, tmp_path / "artifacts") as observer:
        (heartbeat,) = observer.runs.heartbeats()
    assert timedelta(0) <= heartbeat.age < timedelta(minutes=1)


def test_only_the_worker_that_holds_a_run_may_publish_for_it(
    registry: Registry, running: Run, new_version: Callable[..., NewVersion]
) -> None:
    new = new_version(run_id=running.id)
    with pytest.raises(RunLost):
        registry.catalog.publish(new, actor="me", lease=replace(running.lease, worker="other"))
    assert registry.catalog.adapters() == []
    assert registry.catalog.publish(new, actor="me", lease=running.lease).version == 1


def test_a_run_reports_the_newest_version_that_it_published(
    registry: Registry, running: Run, new_version: Callable[..., NewVersion]
) -> None:
    assert running.published is None
    registry.catalog.publish(new_version(b"1", run_id=running.id), actor="me")
    registry.catalog.publish(new_version(b"2", run_id=running.id), actor="me")
    registry.catalog.publish(new_version(b"3"), actor="me")
    assert registry.runs.get(running.id).published == "pets@2"
    assert [run.published for run in registry.runs.list()] == ["pets@2"]


@pytest.mark.parametrize("act", ["queue_position", "requeue"])
def test_an_unknown_run_is_not_found(registry: Registry, act: str) -> None:
    with pytest.raises(UnknownRun, match="no run 'missing'"):
        getattr(registry.runs, act)("missing")
