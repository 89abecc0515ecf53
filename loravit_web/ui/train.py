"""The tab Train: data, what was found in it, settings, start, watch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from loravit_web.datasets import SAMPLES, ImageDataset
from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.training.recipe import PRESETS, Recipe, preset_recipe
from loravit_web.ui.errors import told
from loravit_web.ui.markup import cost_summary, dataset_summary, notice
from loravit_web.ui.train_result import ResultPanel, build_result
from loravit_web.ui.use import UseTab
from loravit_web.ui.watch import WatchPanel, build_watch, watch_updates

THUMBNAILS = 24
LAYOUT = (
    "<p>A zip with one folder per class; <code>train/</code> and <code>test/</code> above them "
    "are honoured.</p>"
    '<div class="lv-layout">flowers.zip\n├─ daisy/   1.jpg  2.jpg …\n└─ rose/    1.jpg  2.jpg …</div>'
)


class NoData(LoraVitError):
    """Training was started without data."""


@dataclass(frozen=True)
class TrainTab:
    """What other parts of the page change here."""

    run_id: gr.State
    watch: WatchPanel
    result: ResultPanel


def build_train(service: Service, tabs: gr.Tabs, use: UseTab) -> TrainTab:
    """Build the tab and its events."""
    fingerprint, run_id = gr.State(None), gr.State(None)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=280):
            gr.Markdown("### 1 · Data")
            upload = gr.File(
                label="Zip of class folders", file_types=[".zip"], height=130, elem_id="train-upload"
            )
            sample = gr.Button("Use the sample: handwritten digits", size="sm", elem_id="train-sample")
        with gr.Column(scale=3, min_width=300):
            gr.Markdown("### 2 · Check")
            found = gr.HTML(LAYOUT, elem_id="train-found")
            thumbnails = gr.Gallery(
                label="A few of the images",
                columns=8,
                height=190,
                visible=False,
                allow_preview=False,
                elem_id="train-thumbnails",
            )
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=280):
            gr.Markdown("### 3 · Settings")
            name = gr.Textbox(
                label="Name", placeholder="My flowers", max_lines=1, max_length=80, elem_id="train-name"
            )
            preset = gr.Radio(
                [(f"{p.title}: {p.summary}", key) for key, p in PRESETS.items()],
                value="quick",
                label="Preset",
                elem_id="train-preset",
            )
            mirror = gr.Checkbox(
                value=True,
                label="Mirrored images mean the same",
                info="Doubles the images. Switch it off for text, digits and anything with a left and right.",
                elem_id="train-mirror",
            )
            cost = gr.HTML("", elem_id="train-cost")
            start = gr.Button("Start training", variant="primary", interactive=False, elem_id="train-start")
        with gr.Column(scale=3, min_width=300):
            gr.Markdown("### 4 · Watch")
            watch = build_watch(
                service, run_id, prefix="train", empty="Start a training and watch it learn here."
            )

    gr.Markdown("### 5 · Result")
    result = build_result(service, tabs, use, run_id, watch)

    checked = [fingerprint, found, thumbnails, start, mirror]

    def check_upload(path: str | None, progress: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008
        if path is None:
            return [None, LAYOUT, gr.Gallery(visible=False), gr.Button(interactive=False), gr.skip()]
        return check(service, path, Path(path).stem, progress)

    def check_sample(progress: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008
        return check(service, "sample:digits", SAMPLES["digits"].title, progress, mirror=False)

    costs = [preset.change, mirror.change]
    for event, handler, given in ((upload.change, check_upload, upload), (sample.click, check_sample, None)):
        imported = event(
            handler,
            given,
            checked,
            show_progress_on=[found],
            concurrency_limit=2,
            concurrency_id="imports",
            api_visibility="private",
        )
        costs.append(imported.then)

    def tell_cost(data: str | None, chosen: str, mirrored: bool) -> str:
        return cost_line(service, data, preset_recipe(chosen, mirror=mirrored))

    for event in costs:
        event(
            tell_cost,
            [fingerprint, preset, mirror],
            cost,
            trigger_mode="always_last",
            show_progress="minimal",
            concurrency_limit=1,
            concurrency_id="estimates",
            api_visibility="private",
        )

    @told
    def begin(data: str | None, typed: str, chosen: str, mirrored: bool) -> list[Any]:
        if data is None:
            raise NoData("Upload a zip of class folders first, or use the sample.")
        recipe = preset_recipe(chosen, mirror=mirrored)
        run = service.queue_training(service.datasets.load(data), typed, recipe, actor="page")
        return [run.id, *watch_updates(service, run.id)]

    start.click(
        begin, [fingerprint, name, preset, mirror], [run_id, *watch.outputs], api_visibility="private"
    )
    return TrainTab(run_id, watch, result)


def check(
    service: Service, data: str, name: str, progress: gr.Progress, *, mirror: bool | None = None
) -> list[Any]:
    """Import data and show what is in it; what is wrong with it is said in its place."""

    def tell(fraction: float, text: str) -> None:
        progress(fraction, desc=text)

    try:
        dataset = service.import_dataset(data, name=name, progress=tell)
    except LoraVitError as error:
        text = notice(str(error), kind="error") + LAYOUT
        return [None, text, gr.Gallery(visible=False), gr.Button(interactive=False), gr.skip()]
    gallery = gr.Gallery(_thumbnails(service, dataset), visible=True)
    mirrored = gr.skip() if mirror is None else gr.Checkbox(value=mirror)
    return [dataset.fingerprint, dataset_summary(dataset), gallery, gr.Button(interactive=True), mirrored]


def cost_line(service: Service, data: str | None, recipe: Recipe) -> str:
    """What the training will take; nothing before there is data."""
    if data is None:
        return ""
    try:
        return cost_summary(service.estimate(service.datasets.load(data), recipe))
    except LoraVitError as error:
        return notice(str(error), kind="error")


def _thumbnails(service: Service, dataset: ImageDataset) -> list[tuple[Any, str]]:
    from loravit_web.images import load_rgb

    per_class = max(1, THUMBNAILS // len(dataset.classes))
    pictures = []
    for path, label in service.sample_images(dataset, per_class=per_class)[:THUMBNAILS]:
        picture = load_rgb(path)
        picture.thumbnail((128, 128))
        pictures.append((picture, label))
    return pictures
