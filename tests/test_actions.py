"""What visitors change: through rights, under their names."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from loravit_web.access.rights import LOCAL, RIGHTS, NotAllowed, Right, Visitor, member
from loravit_web.actions import Actions
from loravit_web.runs.admission import Admission, QueueFull
from loravit_web.runs.queueing import RunNotRetryable
from loravit_web.service import Service
from loravit_web.settings.limits import Limits
from loravit_web.settings.quota import QuotaReached
from loravit_web.training.recipe import RecipeError
from registry import AliasProtected, InvalidTag, Run, Thresholds
from tests.conftest import RECIPE, ColourFolders, train_now

OTHER_SEED = replace(RECIPE, seed=1)
ANN, BOB = member("ann", "editor"), member("bob", "editor")
VIEWER, ADMIN = member("vera", "viewer"), member("ada", "admin")


def test_stopping_a_queued_run_cancels_it_and_resume_queues_it_again(
    service: Service, colour_folders: ColourFolders
) -> None:
    dataset = service.datasets.import_source(colour_folders())
    run = Actions(service, LOCAL).queue_training(dataset, "Colours", RECIPE)
    assert Actions(service, LOCAL).stop(run.id, keep=False).status == "cancelled"
    assert Actions(service, LOCAL).resume(run.id).status == "queued"


@pytest.fixture
def cancelled(service: Service, colour_folders: ColourFolders) -> Run:
    dataset = service.datasets.import_source(colour_folders())
    run = Actions(service, LOCAL).queue_training(dataset, "Colours", RECIPE)
    return Actions(service, LOCAL).stop(run.id, keep=False)


def limited(service: Service, **limits: float) -> Service:
    """The same service with other limits on what is queued."""
    settings = replace(service.settings, limits=replace(Limits(), **limits))
    service.admission = Admission(service.registry, settings)
    return service


def test_no_more_trainings_wait_than_may_however_they_come(
    service: Service, cancelled: Run, colour_folders: ColourFolders
) -> None:
    actions = Actions(limited(service, queued_runs=1), LOCAL)
    dataset = service.datasets.load(cancelled.dataset.fingerprint)
    waiting = actions.queue_training(dataset, "Colours", RECIPE)
    for one_more in (
        lambda: actions.queue_training(dataset, "Others", RECIPE),
        lambda: actions.resume(cancelled.id),
        lambda: actions.retry(cancelled.id),
    ):
        with pytest.raises(
            QueueFull, match="The queue is full: 1 run is waiting.*Try again when a run has started"
        ):
            one_more()
    actions.stop(waiting.id, keep=False)
    assert actions.resume(cancelled.id).status == "queued"


def test_a_full_data_folder_takes_in_and_trains_nothing_more_but_stops_and_describes(
    service: Service, cancelled: Run, tmp_path: Path
) -> None:
    dataset = service.datasets.load(cancelled.dataset.fingerprint)
    waiting = Actions(service, LOCAL).queue_training(dataset, "Others", RECIPE)
    actions = Actions(limited(service, disk_gib=1e-9), LOCAL)
    for train in (
        lambda: actions.queue_training(dataset, "Colours", RECIPE),
        lambda: actions.train_now(dataset, "Colours", RECIPE, service.new_worker()),
        lambda: actions.resume(cancelled.id),
        lambda: actions.retry(cancelled.id),
    ):
        with pytest.raises(QuotaReached, match="LORAVIT_MAX_DISK_GIB"):
            train()
    with pytest.raises(QuotaReached):
        actions.import_bundle(tmp_path / "never-read.zip")
    assert actions.stop(waiting.id, keep=False).status == "cancelled"


@pytest.mark.parametrize(("asked", "batch"), [(None, 4), (3, 3)])
def test_a_retry_is_a_new_run_with_a_smaller_batch_that_names_the_old_one(
    service: Service, cancelled: Run, asked: int | None, batch: int
) -> None:
    run = Actions(service, LOCAL).retry(cancelled.id[:8], batch_size=asked)
    assert (run.status, run.slug, run.title) == ("queued", cancelled.slug, cancelled.title)
    assert run.config == {**cancelled.config, "batch_size": batch}
    assert run.environment["retry_of"] == cancelled.id
    assert service.registry.runs.get(cancelled.id) == cancelled
    service.new_worker().work(idle_exit=0.0)
    assert service.registry.runs.get(run.id).published == "colours@1"


def test_only_a_run_that_ended_and_can_be_made_smaller_is_retried(
    service: Service, cancelled: Run, colour_folders: ColourFolders
) -> None:
    smallest = Actions(service, LOCAL).retry(cancelled.id, batch_size=1)
    with pytest.raises(RunNotRetryable, match="is queued. Cancel it"):
        Actions(service, LOCAL).retry(smallest.id)
    Actions(service, LOCAL).stop(smallest.id, keep=False)
    with pytest.raises(RunNotRetryable, match="The batch size of run .* is 1 already"):
        Actions(service, LOCAL).retry(smallest.id)
    with pytest.raises(RecipeError, match="Batch size 0 is out of range"):
        Actions(service, LOCAL).retry(cancelled.id, batch_size=0)
    assert service.registry.runs.count("queued") == 0


def test_two_people_who_import_the_same_images_train_on_them_under_their_own_names(
    service: Service, colour_folders: ColourFolders
) -> None:
    data = colour_folders()
    runs = {}
    for visitor in (ANN, BOB):
        actions = Actions(service, visitor)
        dataset = actions.import_dataset(data, name=f"Hues of {visitor.name}")
        runs[visitor.name] = actions.queue_training(dataset, f"Of {visitor.name}", RECIPE)
    assert [run.dataset.name for run in runs.values()] == ["Hues of ann", "Hues of bob"]
    assert len({run.dataset.fingerprint for run in runs.values()}) == 1
    retried = Actions(service, BOB).retry(Actions(service, BOB).stop(runs["bob"].id, keep=False).id)
    assert retried.dataset.name == "Hues of bob"
    service.new_worker().work(idle_exit=0.0)
    lineage = service.registry.lineage.of(service.registry.catalog.resolve("of-bob"))
    assert lineage.dataset is not None
    assert lineage.dataset.name == "Hues of bob"


CHANGES: dict[str, Callable[[Actions, Run], object]] = {
    "import_dataset": lambda actions, run: actions.import_dataset(f"dataset:{run.dataset.fingerprint}"),
    "import_levels": lambda actions, _run: actions.import_levels("sample:digits"),
    "import_opened": lambda actions, _run: actions.import_opened(None),
    "import_from_hub": lambda actions, _run: actions.import_from_hub("ann/colours"),
    "delete_dataset": lambda actions, run: actions.delete_dataset(run.dataset.fingerprint),
    "add_image": lambda actions, run: actions.add_image(run.dataset.fingerprint, Path("nowhere.png"), "red"),
    "correct": lambda actions, run: actions.correct(run.dataset.fingerprint, {}),
    "extend": lambda actions, run: actions.extend(run.dataset.fingerprint, None),
    "rename_class": lambda actions, run: actions.rename_class(run.dataset.fingerprint, "red", "rosy"),
    "merge_classes": lambda actions, run: actions.merge_classes(run.dataset.fingerprint, ["red"], "green"),
    "add_to_pool": lambda actions, run: actions.add_to_pool(run.slug, None),
    "confirm": lambda actions, run: actions.confirm(run.slug, "1234", "red"),
    "reopen": lambda actions, run: actions.reopen(run.slug, "1234"),
    "join_pool": lambda actions, run: actions.join_pool(run.slug),
    "delete_from_pool": lambda actions, run: actions.delete_from_pool(run.slug),
    "collect": lambda actions, run: actions.collect(run.slug, on=True),
    "queue_training": lambda actions, _run: actions.queue_training(None, "Colours", RECIPE),
    "queue_sweep": lambda actions, _run: actions.queue_sweep(None, "Colours", []),
    "train_now": lambda actions, _run: actions.train_now(None, "Colours", RECIPE, None),
    "stop": lambda actions, run: actions.stop(run.id, keep=False),
    "resume": lambda actions, run: actions.resume(run.id),
    "retry": lambda actions, run: actions.retry(run.id),
    "delete_run": lambda actions, run: actions.delete_run(run.id),
    "import_bundle": lambda actions, _run: actions.import_bundle(Path("nowhere.zip")),
    "pull": lambda actions, _run: actions.pull("ann/colours", name="colours"),
    "push": lambda actions, _run: actions.push("colours", "ann/colours"),
    "add_base": lambda actions, _run: actions.add_base("team-vit", None),
    "describe": lambda actions, _run: actions.describe("colours", title="Hues"),
    "replace_texts": lambda actions, _run: actions.replace_texts("colours", "Hues", "", "plain"),
    "promote": lambda actions, _run: actions.promote("colours@1", "production"),
    "rollback": lambda actions, _run: actions.rollback("colours", "production"),
    "remove_alias": lambda actions, _run: actions.remove_alias("colours", "production"),
    "protect_alias": lambda actions, _run: actions.protect_alias("colours", "production"),
    "unprotect_alias": lambda actions, _run: actions.unprotect_alias("colours", "production"),
    "set_thresholds": lambda actions, _run: actions.set_thresholds("colours@1", Thresholds(unlike=2.0)),
    "title_class": lambda actions, _run: actions.title_class("colours@1", "red", "rosy"),
    "withdraw": lambda actions, _run: actions.withdraw("colours", 1, "wrong labels"),
    "archive": lambda actions, _run: actions.archive("colours"),
    "delete_version": lambda actions, _run: actions.delete_version("colours@1"),
    "delete_adapter": lambda actions, _run: actions.delete_adapter("colours"),
    "restore": lambda actions, _run: actions.restore("colours"),
}


def test_every_change_stands_in_the_table() -> None:
    methods = {name for name, one in inspect.getmembers(Actions, inspect.isfunction) if name[0] != "_"}
    assert set(CHANGES) == methods


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_viewer_changes_nothing(service: Service, colours: Run, change: Callable[..., object]) -> None:
    before = service.registry.catalog.events()
    with pytest.raises(NotAllowed, match=r"This needs an (editor|admin), but vera is a viewer. Ask an admin"):
        change(Actions(service, VIEWER), colours)
    assert service.registry.catalog.events() == before


@pytest.mark.parametrize("name", ["stop", "resume", "retry"])
def test_the_run_of_somebody_else_is_theirs(service: Service, colours: Run, name: str) -> None:
    with pytest.raises(NotAllowed, match="The run of Colours belongs to ann. Ask ann or an admin"):
        CHANGES[name](Actions(service, BOB), colours)


@pytest.mark.parametrize("name", ["withdraw", "archive", "restore"])
@pytest.mark.parametrize("visitor", [ANN, ADMIN], ids=["owner", "admin"])
def test_owner_and_admin_retire_an_adapter_and_others_do_not(
    service: Service, colours: Run, name: str, visitor: Visitor
) -> None:
    with pytest.raises(NotAllowed, match="Colours belongs to ann"):
        CHANGES[name](Actions(service, BOB), colours)
    CHANGES[name](Actions(service, visitor), colours)


def test_a_protected_alias_moves_for_who_may_manage(service: Service, colours: Run) -> None:
    aliases = service.registry.aliases
    Actions(service, BOB).promote("colours@1", "production")
    aliases.protect("colours", "production", actor="ada")
    second = train_now(
        service,
        service.datasets.load(colours.dataset.fingerprint),
        "Colours",
        OTHER_SEED,
        service.new_worker(),
    )
    assert second.published == "colours@2"
    with pytest.raises(AliasProtected):
        Actions(service, BOB).promote("colours@2", "production")
    assert Actions(service, ADMIN).promote("colours@2", "production").ref == "colours@2"


def test_texts_are_given_and_tags_that_are_not_named_go(service: Service, colours: Run) -> None:
    actions = Actions(service, BOB)
    actions.replace_texts("colours", " Two  colours ", "Red or green.", "Red, green")
    adapter = actions.replace_texts("colours", "Two colours", "", "red blue")
    assert (adapter.title, adapter.description, adapter.tags) == ("Two colours", "", ("blue", "red"))
    with pytest.raises(InvalidTag):
        actions.replace_texts("colours", "Other", "", "a_b")
    assert service.registry.catalog.adapter("colours").title == "Two colours"


def test_each_change_is_written_down_under_its_visitors_name(service: Service, colours: Run) -> None:
    Actions(service, BOB).describe("colours", add_tags=["plain"])
    newest = service.registry.catalog.events("colours")[0]
    assert (newest.actor, newest.kind) == ("bob", "tagged")


def test_thresholds_are_set_by_editors_under_their_name_and_the_files_stay(
    service: Service, colours: Run
) -> None:
    before = service.registry.catalog.version("colours@1")
    changed = Actions(service, BOB).set_thresholds("colours@1", Thresholds(unlike=2.0))
    newest = service.registry.catalog.events("colours")[0]
    assert (newest.actor, newest.kind, newest.entity_id) == ("bob", "adjusted", "colours@1")
    assert (changed.thresholds.unlike, changed.files) == (2.0, before.files)


def test_thresholds_are_set_through_the_actions_and_imports_alone() -> None:
    package = Path(__file__).resolve().parents[1] / "loravit_web"
    setting = [
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "set"
        if ast.unparse(node.value).endswith("registry.thresholds")
    ]
    assert setting == ["catalog/actions.py", "catalog/exchange.py"]


def test_every_right_belongs_to_an_admin_and_to_whoever_is_above_who_has_it() -> None:
    assert RIGHTS["viewer"] <= RIGHTS["editor"] <= RIGHTS["admin"]
    assert RIGHTS["admin"] == frozenset(get_args(Right))


def test_the_page_changes_things_through_actions_alone() -> None:
    changing = set(CHANGES)
    folder = Path(__file__).resolve().parents[1] / "loravit_web" / "ui"
    reached = []
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "actor":
                reached.append(f"{path.name}: names an actor itself")
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = ast.unparse(node.func.value)
            if node.func.attr in changing and not owner.startswith(("actions_of(", "actions")):
                reached.append(f"{path.name}: {owner}.{node.func.attr}")
    assert reached == []
