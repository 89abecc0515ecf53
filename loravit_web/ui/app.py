"""The page: title, job strip, four tabs, and one pulse that follows the registry."""

from __future__ import annotations

from typing import Any

import gradio as gr

from loravit_web.service import Service
from loravit_web.ui.answers import NO_IMAGE, NO_TASKS
from loravit_web.ui.api import add_api
from loravit_web.ui.catalog import build_catalog, follow_link
from loravit_web.ui.catalog_view import CatalogView
from loravit_web.ui.errors import plain
from loravit_web.ui.markup import job_strip, who_line
from loravit_web.ui.pick import chip_updates, choices_for, listed
from loravit_web.ui.pulse import add_pulse
from loravit_web.ui.runs import build_runs, follow_runs, lead_on
from loravit_web.ui.saved import add_saved
from loravit_web.ui.train import TrainTab, build_train
from loravit_web.ui.train_result import follow_updates
from loravit_web.ui.use import UseTab, build_use
from loravit_web.ui.visitors import read_only, visitor_of
from loravit_web.ui.watch import watch_updates
from registry import Run

MAX_ACTIVE = 1000
_OPEN_TAB = """() => {
  const asked = new URLSearchParams(window.location.search).get("tab");
  const known = ["use", "train", "catalog", "runs"].includes(asked);
  return known ? {__type__: "update", selected: asked} : {__type__: "update"};
}"""
"""In the browser, so that a link's tab needs no answer of the server."""


def build_app(service: Service) -> gr.Blocks:
    """Build the page over a service; nothing is started or opened."""
    demo = gr.Blocks(title="LoRA-ViT Web", delete_cache=(3600, 86400), analytics_enabled=False)
    with demo:
        title = gr.HTML(
            '<div class="lv-title"><h1>LoRA-ViT Web</h1>'
            "<p>Many small image classifiers on one frozen Vision Transformer.</p></div>"
        )
        who = gr.HTML(elem_id="who", visible=service.settings.mode != "local")
        if service.settings.mode == "team" and service.settings.hub_roles.enabled:
            gr.LoginButton(size="sm", elem_id="sign-in")
        strip = gr.HTML(visible=False, elem_id="job-strip")
        with gr.Tabs(selected="use", elem_id="tabs") as tabs:
            with gr.Tab("Use", id="use"):
                use = build_use(service)
            with gr.Tab("Train", id="train"):
                train = build_train(service, tabs, use)
            with gr.Tab("Catalog", id="catalog"):
                catalog = build_catalog(service, tabs, use)
            with gr.Tab("Runs", id="runs"):
                runs = build_runs(service)
        add_saved(demo, service)
        add_api(service)
        lead_on(service, runs, tabs, train, catalog)
        pulse = add_pulse(lambda: snapshot(service)["key"])
        arrived = _follow(demo, service, pulse, tabs, who, strip, use, train, catalog)
        # after what the page remembers having seen, so that nothing which happens meanwhile is missed
        follow_link(arrived, catalog)
        follow_runs(arrived, service, runs, pulse)
    _show_no_progress(demo, title)
    return demo


def _show_no_progress(demo: gr.Blocks, anything: gr.HTML) -> None:
    """Give the events that show no progress one place not to show it.

    With every step of every event the browser looks up each place of each event that ever ran, one by one in
    the tree of all components. With Gradio's default, all outputs, that was half of the time from a click to
    its answer (``benchmarks switch``).
    """
    for event in demo.fns.values():
        if event.show_progress == "hidden":
            event.show_progress_on = [anything]


def _follow(
    demo: gr.Blocks,
    service: Service,
    pulse: gr.Textbox,
    tabs: gr.Tabs,
    who: gr.HTML,
    strip: gr.HTML,
    use: UseTab,
    train: TrainTab,
    catalog: CatalogView,
) -> Any:
    """Keep every open page in step with the registry; it only ever reads.

    Returns:
        The event after which a page knows which state of the registry it is about to show.
    """
    seen = gr.State(None)
    panels = train.watch.outputs
    picker = use.picker
    picking = [picker.tasks, picker.quick, picker.shown]
    tables = [strip, *picking, use.answers]
    outputs = [seen, catalog.revision, *tables, *panels, *train.result.outputs]

    def follow(
        before: dict[str, Any] | None,
        watched: str | None,
        picked: list[str] | None,
        memory: dict[str, list[str]] | None,
        result: str | None,
    ) -> list[Any]:
        now = snapshot(service)
        if before is None or before["key"] == now["key"]:
            return [gr.skip()] * len(outputs)
        _announce(before["states"], now)
        catalog_changed = before["key"][0] != now["key"][0]
        choices = choices_for(service, memory, picked or []) if catalog_changed else []
        first = choices and before["empty"]
        return [
            _remembered(now, empty=before["empty"] and not choices),
            str(now["key"][0]),
            gr.HTML(job_strip(now["active"]), visible=bool(now["active"])),
            listed(choices, picked) if catalog_changed else gr.skip(),
            *(chip_updates(service, memory, picked or []) if catalog_changed else [gr.skip()] * 2),
            NO_IMAGE if first else gr.skip(),
            *watch_updates(service, watched),
            *follow_updates(service, train.result, watched, result),
        ]

    pulse.change(
        follow,
        [
            seen,
            train.run_id,
            picker.tasks,
            picker.memory,
            train.result.run_id,
        ],
        outputs,
        show_progress="hidden",
        queue=False,
        api_visibility="private",
    )

    def arrive(memory: dict[str, list[str]] | None, request: gr.Request) -> list[Any]:
        # Only what the link asks for: by the time this runs the reader may have gone on.
        asked = dict(request.query_params)
        picked = [task for task in asked.get("task", "").split(",") if task]
        choices, now = choices_for(service, memory, picked), snapshot(service)
        run_id = now["active"][0].id if now["active"] else None
        visitor = visitor_of(service, request)
        return [
            who_line(service.settings, visitor),
            read_only(visitor.refusal("train")),
            run_id,
            _remembered(now, empty=not choices),
            gr.HTML(job_strip(now["active"]), visible=bool(now["active"])),
            listed(choices, picked),
            *chip_updates(service, memory, picked),
            gr.skip() if choices else NO_TASKS,
            *watch_updates(service, run_id),
        ]

    shown = [who, train.read_only, train.run_id, seen, *tables, *train.watch.outputs]
    demo.load(None, None, tabs, js=_OPEN_TAB, show_progress="hidden", queue=False, api_visibility="private")
    arrived = demo.load(
        arrive, picker.memory, shown, show_progress="hidden", queue=False, api_visibility="private"
    )
    use.ask_after(arrived)
    return arrived


def snapshot(service: Service) -> dict[str, Any]:
    """What a page depends on: the catalog's revision and where every recent or active run is."""
    runs = service.registry.runs
    active = runs.list(status=["running", "queued"], limit=MAX_ACTIVE)
    recent = {run.id: run for run in [*runs.list(limit=20), *active]}
    places = [
        [run.id, run.status, run.stage, round(run.progress, 3), run.stop_request] for run in recent.values()
    ]
    return {
        "key": [service.registry.revision(), places],
        "states": {run.id: run.status for run in recent.values()},
        "active": sorted(active, key=lambda run: (run.status != "running", run.created_at)),
        "runs": recent,
    }


def _remembered(now: dict[str, Any], *, empty: bool) -> dict[str, Any]:
    """What a page keeps of a snapshot until its next look."""
    return {"key": now["key"], "states": now["states"], "empty": empty}


def _announce(before: dict[str, str], now: dict[str, Any]) -> None:
    """A toast for each run that ended since the page last looked."""
    runs: dict[str, Run] = now["runs"]
    for run_id, status in before.items():
        run = runs.get(run_id)
        if run is None or status not in ("running", "queued") or run.status == status:
            continue
        if run.status == "completed":
            gr.Success(f"{run.published} is in the catalog and in the list of tasks.", title=plain(run.title))
        elif run.status in ("failed", "interrupted"):
            gr.Warning(plain(run.error or f"The run was {run.status}."), title=plain(run.title))
