"""The Catalog tab without a server: its handlers, called as Gradio would call them."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import torch

from loravit_web.access.rights import LOCAL
from loravit_web.adapters import Adapter
from loravit_web.backbones.loading import BaseUnavailable
from loravit_web.engine import EnginePool, MultiLoRAViT
from loravit_web.service import Service
from loravit_web.serving.predictor import Predictor
from loravit_web.settings.environment import Settings
from loravit_web.ui.catalog.filters import DEFAULTS
from loravit_web.ui.catalog.tab import build_catalog
from loravit_web.ui.kit.callers import KEY, Caller
from loravit_web.visibility import Seen
from registry import NewBase, NewEvaluation, NewVersion, Registry, Version
from tests.conftest import tiny_base


def request(username: str | None = None, **query: str) -> Any:
    """What a browser sends along, after it came through the gate."""
    caller = Caller("127.0.0.1", "http://127.0.0.1:7860", username=username)
    return SimpleNamespace(
        request=SimpleNamespace(scope={KEY: caller}),
        query_params=query,
        headers={"host": "127.0.0.1:7860"},
        url=SimpleNamespace(scheme="http"),
    )


class CatalogPage:
    """A page, what is in its fields, and what it shows."""

    def __init__(self, folder: Path) -> None:
        def no_other(name: str) -> MultiLoRAViT:
            raise BaseUnavailable(f"There is no base {name}.")

        self.service = Service(Settings(home=folder, base="tiny"), load=lambda *_: tiny_base())
        engine = MultiLoRAViT(tiny_base(), torch.float32, load=self._unreadable)
        self._engines = EnginePool(engine, no_other)
        self.empty(folder)
        with gr.Blocks() as self.demo:
            self.view = build_catalog(self.service)

    @property
    def seen(self) -> Seen:
        """What the one person at the page sees."""
        return self.service.seen_by(LOCAL)

    @staticmethod
    def _unreadable(ref: str) -> Adapter:
        raise BaseUnavailable(f"{ref} is made up.")

    def empty(self, folder: Path) -> None:
        """Begin with an empty catalog: building page and service takes far longer than any test."""
        self.service.registry.close()
        self.service.registry = Registry.open(f"sqlite:///{folder / 'registry.db'}", folder / "artifacts")
        self.service._predictor = Predictor(self.service.registry, self._engines)

    def reload(self) -> None:
        """As a browser does: every field is as it was at first."""
        view = self.view
        change = view.card.change
        self.fields: dict[Any, Any] = {view.filters.fields[name]: value for name, value in DEFAULTS.items()}
        self.fields |= {view.filters.page: 1, view.card.ref: None, view.card.seen: 0, change.loaded: None}
        self.fields |= {view.card.ticked: [], view.bulk.picked: [], view.bulk.tags: []}
        self.fields |= {change.confirm.pending: None, view.bulk.confirm.pending: None, change.alias: None}
        self.shown: dict[Any, dict[str, Any]] = {}

    def close(self) -> None:
        """Let go of everything."""
        self.service.close()

    def text(self, part: Any) -> str:
        """What stands there."""
        return str(self.shown[part]["value"])

    def can(self, button: Any) -> bool:
        """Whether a button can be pressed."""
        return bool(self.shown[button]["interactive"])

    def update(self, updates: dict[Any, Any]) -> dict[Any, Any]:
        """Take over what a handler returned, as the browser does."""
        for part, update in updates.items():
            given = update._constructor_args[0] if isinstance(update, gr.blocks.Block) else {"value": update}
            self.shown[part] = {**self.shown.get(part, {}), **given}
            if "value" in given:
                self.fields[part] = given["value"]
        return updates

    def arrive(self, **query: str) -> None:
        """Open the page by a link."""
        self.update(self.view.card_arrived(request(**query)))
        self.update(self.view.list_arrived(request(**query)))

    def open(self, ref: str) -> dict[Any, Any]:
        """Choose an adapter."""
        return self.update(self.view.opened(self.fields, ref, request()))

    def type(self, part: Any, value: Any) -> None:
        """Fill a field."""
        self.fields[part] = value

    def press(self, part: Any, event: str = "click", **data: Any) -> dict[Any, Any]:
        """Click a button, or set off another event with its data, and take over what happens."""
        (listener,) = [
            one for one in self.demo.fns.values() if (part._id, event) in one.targets and one.fn is not None
        ]
        given = {"data": self.fields, "event": SimpleNamespace(**data), "request": request()}
        return self.update(listener.fn(*(given[name] for name in inspect.signature(listener.fn).parameters)))

    def find(self, **values: Any) -> dict[Any, Any]:
        """Fill filters and show the first page."""
        for name, value in values.items():
            self.fields[self.view.filters.fields[name]] = value
        return self.update(self.view.listed(self.seen, self.fields, page=1))


TINY = tiny_base().weights_sha256


def publish(
    service: Service,
    slug: str,
    weights: str = "weights",
    *,
    base: str = "tiny",
    weights_sha256: str = TINY,
    actor: str = "ann",
    **changed: Any,
) -> Version:
    """Put a made-up version into the catalog."""
    known = service.registry.bases.ensure(NewBase(base, weights_sha256, "vit_tiny", 32, 3))
    described: dict[str, Any] = {
        "title": slug.title(),
        "description": "",
        "class_names": ("one", "two"),
        "config": {},
        "evaluations": (NewEvaluation("test", 4, 0.75, 0.5, 0.5, 0.5),),
        "files": {"adapter_model.safetensors": f"{slug} {weights}".encode()},
        **changed,
    }
    new = NewVersion(
        slug=slug,
        run_id=None,
        base_id=known.id,
        dataset_id=None,
        adapter_type="LORA",
        n_params=10,
        image_size=32,
        **described,
    )
    return service.registry.catalog.publish(new, actor=actor)
