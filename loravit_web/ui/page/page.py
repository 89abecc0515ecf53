"""Parts of the page, for the events between them."""

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
    """Tabs and what is above them.

    Attributes:
        service: Service that the page uses.
        tabs: The four tabs, one of which is open.
        who: Line about the visitor and the mode of the app.
        strip: Line about running trainings.
        use: Components of Use.
        train: Components of Train.
        catalog: Components of Catalog.
        runs: Components of Runs.
        seen: State of the registry that the page shows, from `follow.remembered`.
        pulse: Text that changes with the registry.
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
