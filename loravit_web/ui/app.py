"""The page: title, job strip, four tabs, and one clock that follows the registry."""

from __future__ import annotations

from typing import Any

import gradio as gr

from loravit_web.service import Service
from loravit_web.ui.api import add_api
from loravit_web.ui.catalog import CatalogTab, build_catalog, catalog_frame
from loravit_web.ui.markup import job_strip
from loravit_web.ui.runs import RunsTab, build_runs, runs_frame
from loravit_web.ui.train import TrainTab, build_train
from loravit_web.ui.use import NO_TASKS, UseTab, build_use, task_choices
from loravit_web.ui.watch import watch_updates
from registry import Run

TICK_SECONDS = 1.5
_TABS = ("use", "train", "catalog", "runs")


def build_app(service: Service) -> gr.Blocks:
    """Build the page over a service; nothing is started or opened."""
    demo = gr.Blocks(title="LoRA-ViT Web", delete_cache=(3600, 86400), analytics_enabled=False)
    with demo:
        gr.HTML(
            '<div class="lv-title"><h1>LoRA-ViT Web</h1>'
            "<p>Many small image classifiers on one frozen Vision Transformer.</p></div>"
        )
        strip = gr.HTML(visible=False, elem_id="job-strip")
        with gr.Tabs(selected="use", elem_id="tabs") as tabs:
            with gr.Tab("Use", id="use"):
                use = build_use(service)
            with gr.Tab("Train", id="train"):
                train = build_train(service)
            with gr.Tab("Catalog", id="catalog"):
                catalog = build_catalog(service, tabs, use)
            with gr.Tab("Runs", id="runs"):
                runs = build_runs(service)
        add_api(service)
        _follow(demo, service, tabs, strip, use, train, catalog, runs)
    return demo


def _follow(
    demo: gr.Blocks,
    service: Service,
    tabs: gr.Tabs,
    strip: gr.HTML,
    use: UseTab,
    train: TrainTab,
    catalog: CatalogTab,
    runs: RunsTab,
) -> None:
    """Keep every open page in step with the registry; it only ever reads."""
    seen = gr.State(None)
    timer = gr.Timer(TICK_SECONDS)
    panels = [*train.watch.outputs, *runs.watch.outputs]
    outputs = [seen, strip, use.tasks, catalog.table, runs.table, *panels]

    def tick(before: Any, watched: str | None, chosen: str | None) -> list[Any]:
        now = snapshot(service)
        if before is not None:
            _announce(before["states"], now)
            if before["key"] == now["key"]:
                return [gr.skip()] * len(outputs)
        catalog_changed = before is None or before["key"][0] != now["key"][0]
        states_changed = before is None or before["states"] != now["states"]
        kept = {"key": now["key"], "states": now["states"]}
        return [
            kept,
            gr.HTML(job_strip(now["active"]), visible=bool(now["active"])),
            gr.Dropdown(choices=task_choices(service)) if catalog_changed else gr.skip(),
            catalog_frame(service) if catalog_changed else gr.skip(),
            runs_frame(service) if states_changed else gr.skip(),
            *watch_updates(service, watched),
            *watch_updates(service, chosen),
        ]

    timer.tick(
        tick,
        [seen, train.run_id, runs.run_id],
        outputs,
        show_progress="hidden",
        queue=False,
        api_visibility="private",
    )

    def arrive(request: gr.Request) -> list[Any]:
        # Only what the link asks for: by the time this runs the reader may have gone on.
        asked = dict(request.query_params)
        tab = asked.get("tab")
        picked = [task for task in asked.get("task", "").split(",") if task]
        choices = task_choices(service)
        active = service.registry.runs.list(status=["running", "queued"])
        run_id = active[-1].id if active else None
        return [
            gr.Tabs(selected=tab) if tab in _TABS else gr.skip(),
            gr.Dropdown(choices=choices, value=picked) if picked else gr.Dropdown(choices=choices),
            gr.skip() if choices else NO_TASKS,
            run_id,
            None,
            catalog_frame(service),
            runs_frame(service),
            *watch_updates(service, run_id),
        ]

    arrived = [tabs, use.tasks, use.answers, train.run_id, seen, catalog.table, runs.table]
    demo.load(
        arrive, None, [*arrived, *train.watch.outputs], show_progress="hidden", api_visibility="private"
    )


def snapshot(service: Service) -> dict[str, Any]:
    """What a page depends on: the catalog's revision and where every active run is."""
    recent = service.registry.runs.list(limit=20)
    active = [run for run in recent if run.status in ("running", "queued")]
    places = [[run.id, run.status, run.stage, round(run.progress, 3), run.stop_request] for run in recent]
    return {
        "key": [service.registry.revision(), places],
        "states": {run.id: run.status for run in recent},
        "active": sorted(active, key=lambda run: run.created_at),
        "runs": {run.id: run for run in recent},
    }


def _announce(before: dict[str, str], now: dict[str, Any]) -> None:
    """A toast for each run that ended since the page last looked."""
    runs: dict[str, Run] = now["runs"]
    for run_id, status in before.items():
        run = runs.get(run_id)
        if run is None or status not in ("running", "queued") or run.status == status:
            continue
        if run.status == "completed":
            gr.Success(f"{run.published} is in the catalog and in the list of tasks.", title=run.title)
        elif run.status in ("failed", "interrupted"):
            gr.Warning(run.error or f"The run was {run.status}.", title=run.title)
