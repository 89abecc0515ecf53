"""Every change that the page can make: its button, what it is called with, and who may press it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from PIL import Image

from loravit_web.actions import Actions
from loravit_web.adapters.files.bundle import read_bundle, write_bundle
from loravit_web.catalog.bulk import BulkKind, archiving
from loravit_web.catalog.exchange import exported, publish_bundle
from loravit_web.catalog.facts import read_facts
from loravit_web.catalog.plans import CatalogChange, plan_of
from loravit_web.datasets import ImageDataset
from loravit_web.datasets.pool.record import PoolImage
from loravit_web.datasets.pool.source import open_images
from loravit_web.runs.deletion import deletion_of
from loravit_web.ui.catalog.change import Texts, texts_of
from loravit_web.ui.train.relabel import Sheet, key_of
from loravit_web.ui.train.review.stored import DeletionQuestion
from registry import DEFAULT_ALIAS, Thresholds
from tests.conftest import RECIPE
from tests.ui.role_team import ED, Given, Team, upload

SMALL = {"train-image-size": 32, "train-blocks": 1, "train-r": 2, "train-epochs": 1}
Who = Literal["editor", "owner", "importer", "admin"]
"""Who may make a change: every editor, only the owner of the thing or importer of the data, or none of them;
an admin always."""


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
    """A correction of its own for each person: another image is left out."""
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


def renamed(team: Team, name: str) -> bytes:
    """The bundle of ``colours@1`` as another adapter."""
    bundle = read_bundle(exported(team.service.registry, "colours@1")[1])
    return write_bundle(replace(bundle, name=f"copy-of-{name}"))


def picture(red: int, green: int, blue: int) -> bytes:
    """A small image of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (red, green, blue)).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(name: str, classes: Sequence[str] = ("dark", "light")) -> bytes:
    """Images in class folders, other ones for each length of the name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for place, label in enumerate(classes):
            for number in range(6):
                shade = 20 + 90 * place + number
                archive.writestr(f"{label}/{number}.png", picture(shade, shade, len(name)))
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
    given = upload(team, picture(200, len(name), 0), "given.png")
    return {"states": ["colours@1"], "use-image": given, "use-teach-class": "red"}


def a_new_adapter(team: Team, name: str) -> str:
    """Another adapter of ed's, to be retired."""
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


def texts_now(team: Team) -> Texts:
    """What a card shows before it is edited."""
    service = team.service
    return texts_of(read_facts(service.registry, service.predictor, "colours@1"))


def imported_by_ed(team: Team, name: str, classes: Sequence[str] = ("dark", "light")) -> ImageDataset:
    """A stored dataset that only ed imported."""
    file = team.service.settings.home.parent / f"{name}.zip"
    file.write_bytes(zipped(name, classes))
    return Actions(team.service, ED).import_dataset(file)


def deleted_dataset(team: Team, name: str) -> Given:
    """A dataset of ed's, about to be deleted."""
    return {"states": [DeletionQuestion(imported_by_ed(team, f"{name}-stored").fingerprint, (), "Delete")]}


def extended(team: Team, name: str) -> Given:
    """Images of a class for a stored dataset."""
    files = [upload(team, picture(len(name), 200, n), f"{n}.png") for n in range(3)]
    given = {"train-more-files": files, "train-more-class": f"green of {name}"}
    return {"states": [team.run.dataset.fingerprint], **given}


def renamed_classes(team: Team, classes: Sequence[str], into: str) -> Given:
    """Classes of the dataset of ``colours@1`` that get one other name."""
    given = {"train-names-classes": list(classes), "train-names-name": into}
    return {"states": [team.run.dataset.fingerprint], **given}


def merged_classes(team: Team, name: str) -> Given:
    """Two of three classes, which become one."""
    dataset = imported_by_ed(team, "of-three-classes", ("dark", "grey", "light"))
    return {**renamed_classes(team, ["dark", "grey"], f"dull of {name}"), "states": [dataset.fingerprint]}


def pool_of(team: Team, name: str) -> PoolImage:
    """The only image in the pool of ``colours``, another one for each person."""
    pools, actions = team.service.pools, Actions(team.service, ED)
    pools.remove("colours")
    file = team.service.settings.home.parent / f"{name}.png"
    file.write_bytes(picture(len(name), 0, 200))
    with open_images([file]) as source:
        (image,) = actions.add_to_pool("colours", source).images
    return image


def added_to_pool(team: Team, name: str) -> Given:
    """An image for a pool without images."""
    team.service.pools.remove("colours")
    given = upload(team, picture(len(name), 0, 200), "given.png")
    return {"train-pool-task": "colours", "train-pool-files": [given]}


def decided(team: Team, name: str, label: str | None, *, undo: bool = False) -> Given:
    """A decision on an image of a pool, as the page tells it."""
    decision = json.dumps({"sha": pool_of(team, name).sha256, "label": label, "undo": undo})
    return {"train-pool-task": "colours", "told": {"index": 0, "value": decision}}


def confirmed_image(team: Team, name: str) -> Given:
    """A pool with a confirmed image."""
    image = pool_of(team, name)
    Actions(team.service, ED).confirm("colours", image.sha256, "red")
    return {"train-pool-task": "colours"}


def undone(team: Team, name: str) -> Given:
    """A decision that is undone."""
    given = decided(team, name, None, undo=True)
    (image,) = team.service.pools.images("colours")
    Actions(team.service, ED).confirm("colours", image.sha256, "red")
    return given


def deleted_pool(team: Team, name: str) -> Given:
    """A pool with an image."""
    pool_of(team, name)
    return {"train-pool-task": "colours"}


def collecting(team: Team, _name: str) -> Given:
    """The switch for images of requests, which is off."""
    team.service.pools.collect("colours", on=False)
    return {"train-pool-task": "colours", "train-pool-collect": True}


CHANGES: dict[str, tuple[str, Callable[[Team, str], Given], Who]] = {
    # the button; what it is called with; who may press it
    "train-start": (
        "train-start",
        lambda team, name: {"states": [team.run.dataset.fingerprint], "train-name": f"New {name}", **SMALL},
        "editor",
    ),
    "train-upload": (
        "train-upload",
        lambda team, name: {"train-upload": upload(team, zipped(name))},
        "editor",
    ),
    "train-fix": (
        "train-fix",
        lambda team, name: {"states": [team.run.dataset.fingerprint, one_image_less(team, name)]},
        "editor",
    ),
    "train-again": (
        "train-again",
        lambda team, name: {"states": [team.run.id, one_image_less(team, f"{name}-again")]},
        "editor",
    ),
    "train-default-keep": ("train-default-keep", lambda team, _name: with_default(team, None), "editor"),
    "train-default-use": ("train-default-use", lambda team, _name: with_default(team, "colours@2"), "editor"),
    "use-teach-add": ("use-teach-add", one_image_more, "editor"),
    "train-save": (
        "train-save",
        lambda team, name: {"states": [team.run.id], "train-title": f"Hues {name}", "train-tags": name},
        "editor",
    ),
    "train-stored-delete": ("train-stored-yes", deleted_dataset, "importer"),
    "train-more-add": ("train-more-add", extended, "editor"),
    "train-rename-class": (
        "train-names-apply",
        lambda team, name: renamed_classes(team, ["red"], f"red of {name}"),
        "editor",
    ),
    "train-rename-in-answers": (
        "train-names-apply",
        lambda team, name: {
            **renamed_classes(team, ["green"], f"green of {name}"),
            "train-names-answers": True,
        },
        "editor",
    ),
    "train-merge-classes": ("train-names-apply", merged_classes, "editor"),
    "train-pool-add": ("train-pool-files", added_to_pool, "editor"),
    "train-pool-confirm": ("train-review", lambda team, name: decided(team, name, "red"), "editor"),
    "train-pool-skip": ("train-review", lambda team, name: decided(team, name, None), "editor"),
    "train-pool-undo": ("train-review", undone, "editor"),
    "train-pool-join": ("train-pool-join", confirmed_image, "editor"),
    "train-pool-delete": ("train-pool-delete", deleted_pool, "editor"),
    "train-pool-collect": ("train-pool-collect", collecting, "admin"),
    **{
        f"{tab}-{button}": (f"{tab}-{button}", given, "owner")
        for tab in ("train", "runs")
        for button, given in (("cancel-yes", unfinished), ("resume", ended), ("retry", ended))
    },
    "catalog-import": (
        "catalog-import",
        lambda team, name: on_card(team, **{"catalog-import": upload(team, renamed(team, name))}),
        "editor",
    ),
    "catalog-save": ("catalog-save", edited_texts, "editor"),
    "catalog-thresholds": (
        "catalog-thresholds",
        lambda team, name: {
            **on_card(team, "colours@1"),
            "catalog-unlike": 1 + len(name),
            "catalog-unsure": 0.6,
        },
        "editor",
    ),
    "catalog-thresholds-reset": ("catalog-thresholds-reset", changed_thresholds, "editor"),
    "catalog-promote": (
        "catalog-yes",
        lambda team, name: confirmed(team, CatalogChange("promote", "colours@1", f"of-{name}")),
        "editor",
    ),
    "catalog-rollback": ("catalog-yes", rolled_back, "editor"),
    "catalog-delete": ("catalog-yes", deleted_version, "owner"),
    "catalog-tag-several": ("catalog-bulk-tag", lambda team, name: bulk(team, "tag", name), "editor"),
    "catalog-archive-several": ("catalog-bulk-yes", lambda team, name: bulk(team, "archive", name), "owner"),
    "runs-delete": ("runs-delete-yes", deleted_run, "owner"),
    "catalog-withdraw": (
        "catalog-yes",
        lambda team, name: confirmed(
            team, CatalogChange("withdraw", a_new_adapter(team, f"{name}-w"), "", "wrong")
        ),
        "owner",
    ),
    "catalog-archive": (
        "catalog-yes",
        lambda team, name: confirmed(team, CatalogChange("archive", a_new_adapter(team, f"{name}-a"))),
        "owner",
    ),
    "catalog-restore": ("catalog-restore", archived, "owner"),
}
