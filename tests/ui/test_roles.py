"""Who may change what, tried over plain HTTP without the page, also with what only the page should know."""

from __future__ import annotations

import inspect
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import CodeType, FunctionType
from typing import Any

import httpx
import pytest
from gradio.block_function import BlockFunction
from gradio.components import BrowserState, State
from PIL import Image

from loravit_web.access.actions import UserActions
from loravit_web.access.rights import SHELL, member
from loravit_web.actions import Actions
from loravit_web.adapters.files.bundle import read_bundle, write_bundle
from loravit_web.catalog.bulk import BulkKind, archiving
from loravit_web.catalog.exchange import exported, publish_bundle
from loravit_web.catalog.facts import read_facts
from loravit_web.catalog.plans import CatalogChange, plan_of
from loravit_web.runs.deletion import deletion_of
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.ui.catalog.change import Texts, texts_of
from loravit_web.ui.catalog.tab import build_catalog
from loravit_web.ui.catalog.view import CatalogView
from loravit_web.ui.launch import App
from loravit_web.ui.runs.tab import RunsTab, build_runs
from loravit_web.ui.train.relabel import Sheet, key_of
from registry import DEFAULT_ALIAS, Role, Run, Thresholds
from tests.conftest import RECIPE, make_colours, tiny_service, train_now

SECRET = "a long password"
PEOPLE: dict[str, Role] = {"vera": "viewer", "ed": "editor", "eve": "editor", "ada": "admin"}
ED = member("ed", "editor")
SMALL = {"train-image-size": 32, "train-blocks": 1, "train-r": 2, "train-epochs": 1}
API = "/gradio_api"


@dataclass(frozen=True)
class Team:
    """A running app of a team, with two versions of ed's adapter ``colours``; ``run`` made the first."""

    app: App
    url: str
    run: Run
    view: CatalogView
    runs: RunsTab
    clients: dict[str | None, httpx.Client] = field(default_factory=dict)

    @property
    def service(self) -> Service:
        return self.app.service

    def client(self, name: str | None) -> httpx.Client:
        """A client signed in as somebody or nobody, the same one each time, as signing in is slow."""
        if name not in self.clients:
            client = self.clients[name] = httpx.Client(base_url=self.url.rstrip("/"), timeout=60)
            if name is not None:
                answer = client.post("/login", data={"username": name, "password": SECRET})
                assert answer.json() == {"success": True}
        return self.clients[name]

    def call(self, client: httpx.Client, function: BlockFunction, given: Sequence[Any], session: str) -> str:
        """Call an inner event as a page would; what comes back, as text."""
        held = self.app.demo.app.state_holder[session]
        data = []
        for component, value in zip(function.inputs, given, strict=True):
            if isinstance(component, State):
                held[component._id] = value
                value = None
            data.append(value)
        body = {"data": data, "fn_index": function._id, "session_hash": session}
        if not function.queue:
            return client.post(f"{API}/run/predict", json=body).text
        joined = client.post(f"{API}/queue/join", json=body)
        if joined.status_code != httpx.codes.OK:
            return joined.text
        with client.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if message.get("msg") == "process_completed":
                    return json.dumps(message["output"], ensure_ascii=False)
        raise AssertionError("the stream ended without an answer")


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


Given = dict[str, Any]
"""What a change is called with: ``states`` in order or ``held`` by component, the others by ``elem_id``."""


def unfinished(team: Team, _name: str) -> Given:
    """A new run of ed's that waits."""
    dataset = team.service.datasets.load(team.run.dataset.fingerprint)
    run = Actions(team.service, ED).queue_training(dataset, "Waiting", RECIPE)
    return {"states": [run.id]}


def ended(team: Team, name: str) -> Given:
    """A run of ed's that was cancelled."""
    (run_id,) = unfinished(team, name)["states"]
    return {"states": [Actions(team.service, ED).stop(run_id, keep=False).id]}


def one_image_less(team: Team, name: str) -> Sheet:
    """A correction that nobody else makes: another image is left out for each person."""
    fingerprint = team.run.dataset.fingerprint
    item = team.service.datasets.load(fingerprint).items[len(name)]
    return Sheet(fingerprint, (), changes={key_of(item): None})


def on_card(team: Team, ref: str = "colours@1", **given: Any) -> Given:
    """The chosen version on a card; what a card saw last is not asked for a change."""
    view = team.view
    return {"held": {view.filters.page: 1, view.bulk.picked: [], view.card.ref: ref}, **given}


def confirmed(team: Team, change: CatalogChange) -> Given:
    """The second step of a change, as the first one left it."""
    fields = {"catalog-alias": change.alias, "catalog-reason": change.reason}
    given = on_card(team, change.ref, **fields)
    given["held"][team.view.card.change.confirm.pending] = plan_of(team.service.registry, change)
    return given


def bulk(team: Team, kind: BulkKind, name: str) -> Given:
    """Two adapters of ed's that are selected in the list."""
    slugs = tuple(a_new_adapter(team, f"{name}-{kind}-{n}").partition("@")[0] for n in (1, 2))
    given = on_card(team, f"{slugs[0]}@1", **{"catalog-bulk-tags": [f"of-{name}"]})
    given["held"][team.view.bulk.picked] = list(slugs)
    given["held"][team.view.bulk.confirm.pending] = archiving(team.service.registry, slugs)
    return given


def upload(team: Team, data: bytes, file: str = "given.zip") -> dict[str, Any]:
    """A file as it lies on the server after an upload."""
    path = team.client("vera").post(f"{API}/upload", files={"files": (file, data)}).json()[0]
    return {"path": path, "orig_name": file, "meta": {"_type": "gradio.FileData"}}


def renamed(team: Team, name: str) -> bytes:
    """The bundle of ``colours@1`` as another adapter."""
    bundle = read_bundle(exported(team.service.registry, "colours@1")[1])
    return write_bundle(replace(bundle, name=f"copy-of-{name}"))


def zipped(team: Team, name: str) -> bytes:
    """Images in class folders, other ones for each person."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label in ("dark", "light"):
            for number in range(6):
                image = io.BytesIO()
                shade = (200 if label == "light" else 20) + number
                Image.new("RGB", (32, 32), (shade, shade, len(name))).save(image, "PNG")
                archive.writestr(f"{label}/{number}.png", image.getvalue())
    return buffer.getvalue()


def rolled_back(team: Team, name: str) -> Given:
    """An alias that was moved from the first version to the second."""
    aliases = team.service.registry.aliases
    for ref in ("colours@1", "colours@2"):
        aliases.promote(ref, f"back-{name}", actor="shell")
    return confirmed(team, CatalogChange("rollback", "colours@2", f"back-{name}"))


def with_default(team: Team, ref: str | None) -> Given:
    """The result of ``colours@1``, where people get another version, or the newest."""
    aliases = team.service.registry.aliases
    for alias in aliases.list("colours"):
        if alias.alias == DEFAULT_ALIAS:
            aliases.remove("colours", DEFAULT_ALIAS, actor="shell")
    if ref is not None:
        aliases.promote(ref, DEFAULT_ALIAS, actor="shell")
    return {"states": [team.run.id]}


def one_image_more(team: Team, name: str) -> Given:
    """Another image for each person, and a class for it."""
    image = io.BytesIO()
    Image.new("RGB", (32, 32), (200, len(name), 0)).save(image, "PNG")
    given = upload(team, image.getvalue(), "given.png")
    return {"states": ["colours@1"], "use-image": given, "use-teach-class": "red"}


def a_new_adapter(team: Team, name: str) -> str:
    """Another adapter of ed's, for somebody to retire."""
    bundle = replace(read_bundle(exported(team.service.registry, "colours@1")[1]), name=f"old-{name}")
    return publish_bundle(team.service.registry, team.service.base_for, bundle, actor="ed").ref


def archived(team: Team, name: str) -> Given:
    """An adapter of ed's that was archived."""
    ref = a_new_adapter(team, f"{name}-archived")
    team.service.registry.catalog.archive(ref.partition("@")[0], actor="ed")
    return on_card(team, ref)


def deleted_version(team: Team, name: str) -> Given:
    """A version of ed's that no alias named, beside another one."""
    ref = a_new_adapter(team, f"{name}-d")
    bundle = replace(read_bundle(exported(team.service.registry, "colours@2")[1]), name=ref.partition("@")[0])
    second = publish_bundle(team.service.registry, team.service.base_for, bundle, actor="ed").ref
    return confirmed(team, CatalogChange("delete", second))


def deleted_run(team: Team, name: str) -> Given:
    """A cancelled run of ed's, about to be deleted."""
    (run_id,) = ended(team, name)["states"]
    runs = team.runs
    pending = {runs.detail.confirm.pending: deletion_of(team.service.registry, run_id)}
    return {"held": {runs.listing.page: 1, runs.compared: [], runs.chosen: run_id, **pending}}


def edited_texts(team: Team, name: str) -> Given:
    """A title that a user edits."""
    given = on_card(team, **{"catalog-title": f"Colours of {name}", "catalog-edit-tags": []})
    given["held"][team.view.card.change.loaded] = texts_now(team)
    return given


def changed_thresholds(team: Team, name: str) -> Given:
    """A version with changed thresholds, to reset."""
    team.service.registry.thresholds.set("colours@1", Thresholds(2.0 + len(name), None), actor="shell")
    return on_card(team, "colours@1")


CHANGES: dict[str, tuple[str, Callable[[Team, str], Given], bool]] = {
    # the button; what it is called with; whether only the owner of the thing and an admin may press it
    "train-start": (
        "train-start",
        lambda team, name: {"states": [team.run.dataset.fingerprint], "train-name": f"New {name}", **SMALL},
        False,
    ),
    "train-upload": (
        "train-upload",
        lambda team, name: {"train-upload": upload(team, zipped(team, name))},
        False,
    ),
    "train-fix": (
        "train-fix",
        lambda team, name: {"states": [team.run.dataset.fingerprint, one_image_less(team, name)]},
        False,
    ),
    "train-again": (
        "train-again",
        lambda team, name: {"states": [team.run.id, one_image_less(team, f"{name}-again")]},
        False,
    ),
    "train-default-keep": ("train-default-keep", lambda team, _name: with_default(team, None), False),
    "train-default-use": ("train-default-use", lambda team, _name: with_default(team, "colours@2"), False),
    "use-teach-add": ("use-teach-add", one_image_more, False),
    "train-save": (
        "train-save",
        lambda team, name: {"states": [team.run.id], "train-title": f"Hues {name}", "train-tags": name},
        False,
    ),
    **{
        f"{tab}-{button}": (f"{tab}-{button}", given, True)
        for tab in ("train", "runs")
        for button, given in (("cancel-yes", unfinished), ("resume", ended), ("retry", ended))
    },
    "catalog-import": (
        "catalog-import",
        lambda team, name: on_card(team, **{"catalog-import": upload(team, renamed(team, name))}),
        False,
    ),
    "catalog-save": ("catalog-save", edited_texts, False),
    "catalog-thresholds": (
        "catalog-thresholds",
        lambda team, name: {
            **on_card(team, "colours@1"),
            "catalog-unlike": 1 + len(name),
            "catalog-unsure": 0.6,
        },
        False,
    ),
    "catalog-thresholds-reset": ("catalog-thresholds-reset", changed_thresholds, False),
    "catalog-promote": (
        "catalog-yes",
        lambda team, name: confirmed(team, CatalogChange("promote", "colours@1", f"of-{name}")),
        False,
    ),
    "catalog-rollback": ("catalog-yes", rolled_back, False),
    "catalog-delete": ("catalog-yes", deleted_version, True),
    "catalog-tag-several": ("catalog-bulk-tag", lambda team, name: bulk(team, "tag", name), False),
    "catalog-archive-several": ("catalog-bulk-yes", lambda team, name: bulk(team, "archive", name), True),
    "runs-delete": ("runs-delete-yes", deleted_run, True),
    "catalog-withdraw": (
        "catalog-yes",
        lambda team, name: confirmed(
            team, CatalogChange("withdraw", a_new_adapter(team, f"{name}-w"), "", "wrong")
        ),
        True,
    ),
    "catalog-archive": (
        "catalog-yes",
        lambda team, name: confirmed(team, CatalogChange("archive", a_new_adapter(team, f"{name}-a"))),
        True,
    ),
    "catalog-restore": ("catalog-restore", archived, True),
}


def texts_now(team: Team) -> Texts:
    """What a card shows before somebody edits it."""
    service = team.service
    return texts_of(read_facts(service.registry, service.predictor, "colours@1"))


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
    return team.call(client, function, values, session)


def stored_state(team: Team) -> tuple[Any, ...]:
    """Everything that a visitor could change."""
    registry = team.service.registry
    events = [(event.id, event.actor) for event in registry.catalog.events(limit=1)]
    runs = {run.id: run.status for run in registry.runs.list(limit=1000)}
    folder = team.service.settings.datasets
    return events, runs, sorted(path.name for path in folder.iterdir() if len(path.name) > 20)


def code_of(function: BlockFunction) -> CodeType | None:
    """The code of a handler of ours, without what is wrapped around it."""
    handler = inspect.unwrap(function.fn) if function.fn is not None else None
    return handler.__code__ if inspect.isfunction(handler) else None


@pytest.mark.parametrize("change", CHANGES)
def test_only_who_has_the_right_changes_anything(team: Team, change: str) -> None:
    elem_id, prepare, own = CHANGES[change]
    for name, sentence in (
        (None, "You are not signed in"),
        ("vera", "needs an editor, but vera is a viewer"),
        *([("eve", "belongs to ed")] if own else []),
    ):
        given = prepare(team, name or "nobody")
        before = stored_state(team)
        assert sentence in pressed(team, team.client(name), elem_id, given, f"{change}-{name}")
        assert stored_state(team) == before, f"{name} changed something"
    for name in ("ed", "ada"):
        given = prepare(team, name)
        before = stored_state(team)
        answer = pressed(team, team.client(name), elem_id, given, f"{change}-{name}")
        assert stored_state(team) != before, f"{name} could not: {answer[:500]}"


def test_every_button_that_reaches_for_a_change_is_in_the_matrix(team: Team) -> None:
    tried = {event_of(team, elem_id)._id for elem_id, _given, _own in CHANGES.values()}
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
