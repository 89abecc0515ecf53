"""Who may change what, tried over plain HTTP without the page, also with what only the page should know."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import CodeType, FunctionType
from typing import Any

import httpx
import pytest
from gradio.block_function import BlockFunction
from gradio.components import BrowserState, State

from loravit_web.access.actions import UserActions
from loravit_web.access.rights import SHELL
from loravit_web.settings.environment import Settings
from loravit_web.ui.catalog.tab import build_catalog
from loravit_web.ui.launch import App
from loravit_web.ui.runs.tab import build_runs
from tests.conftest import RECIPE, make_colours, tiny_service, train_now
from tests.ui.role_changes import CHANGES, Who, imported_by_ed
from tests.ui.role_team import API, PEOPLE, SECRET, Given, Team

NOBODY = {None: "You are not signed in"}
VIEWER = {"vera": "needs an editor, but vera is a viewer"}
REFUSED: Mapping[Who, Mapping[str | None, str]] = {
    "editor": {**NOBODY, **VIEWER},
    "owner": {**NOBODY, **VIEWER, "eve": "belongs to ed"},
    "importer": {**NOBODY, **VIEWER, "eve": "was imported by ed"},
    "admin": {
        **NOBODY,
        "vera": "needs an admin, but vera is a viewer",
        "ed": "needs an admin, but ed is an editor",
    },
}
"""Whom a change is refused, and in which words."""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    settings = Settings(home=folder / "home", base="tiny", mode="team")
    service = tiny_service(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        for name, role in PEOPLE.items():
            UserActions(service.registry, SHELL).add(name, SECRET, role)
        dataset = service.datasets.import_source(make_colours(folder / "colours", test=4))
        run = train_now(service, dataset, "Colours", RECIPE, service.new_worker(), actor="ed")
        again = replace(RECIPE, seed=1)
        train_now(service, dataset, "Colours", again, service.new_worker(), actor="ed")
        built: dict[str, Any] = {}
        for name, build in (("catalog", build_catalog), ("runs", build_runs)):
            patch.setattr(
                f"loravit_web.ui.app.build_{name}",
                lambda service, name=name, build=build: built.setdefault(name, build(service)),
            )
        app = App.over(service)
        url = app.launch(host="127.0.0.1", block=False)
        team = Team(app, url, run, built["catalog"], built["runs"])
        yield team
        for client in team.clients.values():
            client.close()
        app.close()


def event_of(team: Team, elem_id: str) -> BlockFunction:
    """What a component sets off first on the server."""
    blocks = team.app.demo.blocks
    for function in team.app.demo.fns.values():
        targets = [blocks[target].elem_id for target, _event in function.targets if target in blocks]
        if function.fn is not None and elem_id in targets:
            return function
    raise AssertionError(f"nothing happens at {elem_id}")


def pressed(team: Team, client: httpx.Client, elem_id: str, given: Given, session: str) -> str:
    """Set off a component's event; what comes back, as text."""
    function = event_of(team, elem_id)
    states, held = iter(given.get("states", ())), given.get("held")
    values = [
        (held.get(component, component.value) if held is not None else next(states, None))
        if isinstance(component, State | BrowserState)
        else given.get(component.elem_id or "", component.value)
        for component in function.inputs
    ]
    return team.call(client, function, values, session, given.get("told"))


def stored_state(team: Team) -> tuple[Any, ...]:
    """Everything that a visitor could change."""
    registry = team.service.registry
    events = [(event.id, event.actor) for event in registry.catalog.events(limit=1)]
    runs = {run.id: run.status for run in registry.runs.list(limit=1000)}
    folder, pools = team.service.settings.datasets, team.service.pools
    datasets = sorted(path.name for path in folder.iterdir() if len(path.name) > 20)
    pooled = [(task, pools.is_collecting(task), pools.images(task)) for task in pools.tasks()]
    return events, runs, datasets, pooled


def code_of(function: BlockFunction) -> CodeType | None:
    """The code of a handler of ours, without what is wrapped around it."""
    handler = inspect.unwrap(function.fn) if function.fn is not None else None
    return handler.__code__ if inspect.isfunction(handler) else None


@pytest.mark.parametrize("change", CHANGES)
def test_only_who_has_the_right_changes_anything(team: Team, change: str) -> None:
    elem_id, prepare, who = CHANGES[change]
    for name, sentence in REFUSED[who].items():
        given = prepare(team, name or "nobody")
        before = stored_state(team)
        assert sentence in pressed(team, team.client(name), elem_id, given, f"{change}-{name}")
        assert stored_state(team) == before, f"{name} changed something"
    for name in [one for one in ("ed", "ada") if one not in REFUSED[who]]:
        given = prepare(team, name)
        before = stored_state(team)
        answer = pressed(team, team.client(name), elem_id, given, f"{change}-{name}")
        assert stored_state(team) != before, f"{name} could not: {answer[:500]}"


def test_every_button_that_reaches_for_a_change_is_in_the_matrix(team: Team) -> None:
    tried = {event_of(team, elem_id)._id for elem_id, _given, _who in CHANGES.values()}
    handlers = {
        inspect.unwrap(team.app.demo.fns[number].fn).__code__
        for number in tried
        if team.app.demo.fns[number].fn
    }
    for function in team.app.demo.fns.values():
        handler = inspect.unwrap(function.fn) if function.fn is not None else None
        if inspect.isfunction(handler) and reaches_for_a_change(handler):
            assert handler.__code__ in handlers, handler.__qualname__


def reaches_for_a_change(handler: FunctionType) -> bool:
    """Whether it, or a function of its module that it calls, asks what its visitor may change."""
    beside = inspect.getmembers(inspect.getmodule(handler), inspect.isfunction)
    helpers = [name for name, helper in beside if "actions_of(" in inspect.getsource(helper)]
    return any(f"{name}(" in inspect.getsource(handler) for name in ("actions_of", *helpers))


def test_only_who_may_delete_a_dataset_is_asked_whether_to(team: Team) -> None:
    given = {"train-stored": imported_by_ed(team, "asked-about").fingerprint}
    before = stored_state(team)
    for name, sentence in {
        **REFUSED["importer"],
        "ed": "12 image files of “asked-about” will be deleted for good",
        "ada": "12 image files of “",
    }.items():
        assert sentence in pressed(team, team.client(name), "train-stored-delete", given, f"asked-{name}")
    assert stored_state(team) == before


def test_asking_needs_a_name_and_no_right(team: Team) -> None:
    nobody, viewer = team.client(None), team.client("vera")
    assert nobody.post(f"{API}/call/v2/tasks", json={}).status_code == 401
    assert nobody.post(f"{API}/upload", files={"files": ("p.png", b"x")}).status_code == 401
    assert nobody.get("/config").status_code == 401
    assert viewer.post(f"{API}/call/v2/tasks", json={}).status_code == 200


def test_a_wrong_password_opens_nothing(team: Team) -> None:
    with httpx.Client(base_url=team.url.rstrip("/")) as client:
        assert client.post("/login", data={"username": "ada", "password": "guess"}).status_code == 401
        assert client.post(f"{API}/call/v2/tasks", json={}).status_code == 401


def test_who_was_removed_reads_and_changes_nothing_more_and_is_asked_to_sign_in(team: Team) -> None:
    UserActions(team.service.registry, SHELL).add("tim", SECRET, "admin")
    client = team.client("tim")
    assert "Sign in with the name" not in client.get("/").text
    assert client.post(f"{API}/call/v2/tasks", json={}).status_code == 200
    UserActions(team.service.registry, SHELL).remove("tim")
    before = stored_state(team)
    given = CHANGES["catalog-promote"][1](team, "tim")
    assert "You are not signed in" in pressed(team, client, "catalog-promote", given, "removed")
    assert stored_state(team) == before
    assert client.post(f"{API}/call/v2/tasks", json={}).status_code == 401
    assert "Sign in with the name" in client.get("/").text
