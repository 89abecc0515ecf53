"""The page: title, status line, four tabs, and the events that follow the registry."""

from __future__ import annotations

import gradio as gr

from loravit_web.service import Service
from loravit_web.ui.api import add_api
from loravit_web.ui.catalog.tab import build_catalog
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.kit.uploads import upload_folder
from loravit_web.ui.kit.waiting import Waiting
from loravit_web.ui.language.texts import LANGUAGES, _
from loravit_web.ui.page.address import name_tabs
from loravit_web.ui.page.arrival import fill_page
from loravit_web.ui.page.follow import follow_registry
from loravit_web.ui.page.navigation import connect_tabs
from loravit_web.ui.page.page import Page
from loravit_web.ui.page.pulse import add_pulse
from loravit_web.ui.page.saved import add_saved
from loravit_web.ui.page.strip import build_strip
from loravit_web.ui.patches.quiet import place_hidden_progress
from loravit_web.ui.runs.tab import build_runs, follow_runs
from loravit_web.ui.scripts import on_load
from loravit_web.ui.templates import render
from loravit_web.ui.train.tab import build_train
from loravit_web.ui.use.tab import build_use


def build_app(service: Service, presence: Presence) -> gr.Blocks:
    """Build the page. Nothing is started.

    Args:
        service: Service that the page uses.
        presence: Registry of the open pages, which tells work for a page that the page was closed.
    """
    service.uploads = upload_folder()
    waiting = Waiting(service.settings.limits.waiting)
    demo = gr.Blocks(title="LoRA-ViT Web", analytics_enabled=False)
    with demo:
        # First, because at each step of an event the browser finds a component by walking through all
        # components before it.
        with gr.Column(visible="hidden") as unseen:
            nowhere = gr.Textbox(visible=False, container=False)
        gr.HTML(render("page/title"))
        who = gr.HTML(elem_id="who", visible=service.settings.mode != "local")
        if service.settings.mode == "team" and service.settings.hub_roles.enabled:
            gr.LoginButton(size="sm", elem_id="sign-in")
        strip = build_strip()
        seen = gr.State(None)
        with gr.Tabs(selected="use", elem_id="tabs") as tabs:
            with gr.Tab(_("Use"), id="use") as use_tab:
                use = build_use(service, waiting, presence)
            with gr.Tab(_("Train"), id="train") as train_tab:
                train = build_train(service, presence)
            with gr.Tab(_("Catalog"), id="catalog") as catalog_tab:
                catalog = build_catalog(service)
            with gr.Tab(_("Runs"), id="runs") as runs_tab:
                runs = build_runs(service)
        name_tabs({"use": use_tab, "train": train_tab, "catalog": catalog_tab, "runs": runs_tab})
        add_saved(demo, service)
        if not service.settings.plain_gradio:  # its page is English
            gr.HTML(
                render("page/languages", languages=LANGUAGES),
                js_on_load=on_load("language.listen"),
                elem_id="languages",
            )
        add_api(service, waiting)
        with unseen:
            for one in (catalog.revision, use.picker.memory, train.run_id, train.given, train.corrections):
                one.render()
        pulse = add_pulse(service, seen)
        page = Page(service, tabs, who, strip, use, train, catalog, runs, seen, pulse)
        connect_tabs(page)
        follow_registry(page)
        follow_runs(service, runs, pulse, runs_tab)
        fill_page(demo, page)
    if not service.settings.plain_gradio:
        place_hidden_progress(demo, nowhere)
    return demo
