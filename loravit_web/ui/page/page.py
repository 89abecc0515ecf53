"""The parts of the page that know of each other."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from loravit_web.service import Service
from loravit_web.ui.catalog.view import CatalogView
from loravit_web.ui.runs.tab import RunsTab
from loravit_web.ui.train.tab import TrainTab
from loravit_web.ui.use.tab import UseTab


@dataclass(frozen=True)
class Page:
    """The tabs and what stands above them.

    Attributes:
        tabs: hold the four tabs, and open one.
        who: who is signed in.
        strip: what is being trained.
        seen: what the page knows of the registry, as `follow.remembered`.
        pulse: changes when the registry did.
    """

    service: Service
    tabs: gr.Tabs
    who: gr.HTML
    strip: gr.HTML
    use: UseTab
    train: TrainTab
    catalog: CatalogView
    runs: RunsTab
    seen: gr.State
    pulse: gr.Textbox
