"""Model card of an adapter in the format of the Hugging Face Hub: YAML metadata, then Markdown.

The card depends on the adapter alone, not on the time or the version number, so the same adapter always has
the same card. Texts that users entered are escaped; huggingface_hub writes the YAML.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from loravit_web.adapters.adapter import Adapter
from loravit_web.adapters.files.fileset import THUMBNAIL_FILE
from loravit_web.adapters.files.thumbnail import MAX_IMAGES
from loravit_web.adapters.labels import READINGS
from loravit_web.adapters.readout import readout_text
from loravit_web.backbones.base import Base
from loravit_web.backbones.embedded import REQUIREMENT
from loravit_web.backbones.loading import EMBEDDED
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.backbones.timm_import import import_timm
from loravit_web.util.labels import several

TASK = "image-classification"
CLASSES_SHOWN = 200
_SPLITS = ("validation", "test")
# Metrics of a split in task.json, with the Hub's name and the name in the table.
_METRICS = (
    ("accuracy", "accuracy", "Accuracy"),
    ("macro_f1", "f1", "Macro F1"),
    ("loss", "loss", "Cross-entropy"),
    ("top5_accuracy", "accuracy", "Top-5 accuracy"),
    ("calibration_error", "calibration_error", "Calibration error"),
    ("mean_average_precision", "mean_average_precision", "mAP"),
    ("micro_f1", "f1", "Micro F1"),
)
_RECIPE = ("preset", "batch_size", "lr", "weight_decay", "label_smoothing", "mirror", "max_images", "seed")
_LORA_FIELDS = ("r", "alpha", "dropout", "target_modules", "blocks", "use_rslora", "pooling")
_PEFT_LOADS = {"LORA"}
# Markdown syntax, and the characters by which bare addresses become links.
_SIGNS = re.compile(r"([!#$*@\[\\\]_`|~]|:(?=//)|(?<=www)\.)", re.IGNORECASE)
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


@dataclass(frozen=True)
class BaseFacts:
    """What a card says about a base.

    Attributes:
        model: Value of ``base_model``.
        text: Description in Markdown.
        code: Python code that creates the timm model ``model`` with a head of ``{classes}`` classes.
        extractor: Python code that creates the ``ViTFeatureExtractor`` ``vit`` of the base.
    """

    model: str
    text: str
    code: str
    extractor: str


def model_card(
    adapter: Adapter,
    base: Base,
    *,
    name: str,
    title: str,
    data: str | None = None,
    thumbnail: bool = False,
) -> bytes:
    """Return the model card of an adapter in UTF-8.

    Args:
        adapter: Adapter to describe.
        base: Base that it was trained on.
        name: Name (slug) of the adapter.
        title: Title of the adapter.
        data: Name of the dataset that it was trained and evaluated on.
        thumbnail: Whether the files include a thumbnail.
    """
    facts = base_facts(base)
    sections = [
        f"# {escaped(title)}",
        _thumbnail(adapter) if thumbnail else "",
        _summary(adapter, base),
        f"## Classes\n\n{_class_list(adapter.class_names)}",
        f"## Results\n\n{_results(adapter)}",
        f"## Training\n\n{_training(adapter, data)}",
        f"## Base\n\n{facts.text}\n\nSHA-256 of its weights: `{base.weights_sha256}`.",
        f"## Use\n\n{_use(adapter, base, facts, name)}",
        f"## Limits\n\n{_limits(adapter)}",
    ]
    yaml = _metadata(adapter, facts, title=title, data=data).to_yaml()
    return (f"---\n{yaml}\n---\n\n" + "\n\n".join(filter(None, sections)) + "\n").encode()


def escaped(text: object) -> str:
    """Return text on a single line that Markdown and HTML show literally, including links and mentions."""
    line = "".join(
        " " if char.isspace() else char
        for char in str(text)
        if char.isspace() or unicodedata.category(char) not in {"Cc", "Cs"}
    )
    # Bidirectional controls could reverse the rest of the line.
    line = re.sub("[\u202a-\u202e\u2066-\u2069]", "", " ".join(line.split()))
    line = _SIGNS.sub(r"\\\1", line)
    return "".join(_HTML.get(char, char) for char in line)


def base_facts(base: Base) -> BaseFacts:
    """Return what a card says about a base: the source of its weights and its name on the Hub."""
    named = f'vit = ViTFeatureExtractor(base="{base.name}")'
    if base.name == EMBEDDED:
        package = REQUIREMENT.partition("==")[0]
        return BaseFacts(
            package,
            f"A DINOv2 ViT-S/14 (`{base.architecture}`) that was fine-tuned for saliency. Its weights are "
            f"not on the Hub: they come from the Python package `{REQUIREMENT}` (MIT license), which is what "
            "`base_model` names. The adapter does not work with the original DINOv2 weights.",
            "from pathlib import Path\n\n"
            "from loravit_web.backbones import load_base\n\n"
            f'model = load_base("{EMBEDDED}", Path("bases"), lambda *_: None).model\n'
            "model.reset_classifier({classes})",
            named,
        )
    if not import_timm().is_model(base.name.partition(".")[0]):
        return _facts_of_stored(base)
    identity = _timm_id(base)
    return BaseFacts(
        f"timm/{identity}",
        f"The timm model [`{identity}`](https://huggingface.co/timm/{identity}).",
        "import timm\n\n"
        f'model = timm.create_model("{identity}", pretrained=True, num_classes={{classes}}, '
        "dynamic_img_size=True)",
        named,
    )


def _facts_of_stored(base: Base) -> BaseFacts:
    """Return what a card says about a base that a team added to its own store."""
    model = (
        "import timm\n"
        "from safetensors.torch import load_file\n\n"
        f'model = timm.create_model("{base.architecture}", num_classes=0, dynamic_img_size=True)\n'
        f'model.load_state_dict(load_file("{base.name}.safetensors"))'
    )
    return BaseFacts(
        base.name,
        f"The base `{base.name}`, weights for the timm architecture `{base.architecture}`. They are not on "
        "the Hub but in the artifact store of the app that trained this adapter. The code below calls their "
        f"file `{base.name}.safetensors`.",
        f"{model}\nmodel.reset_classifier({{classes}})",
        f"{model}\n\nvit = ViTFeatureExtractor(backbone=model)",
    )


def _timm_id(base: Base) -> str:
    """Return the timm name with the tag of its weights, which timm chooses if none is named."""
    tag = (getattr(base.model, "pretrained_cfg", None) or {}).get("tag")
    return base.name if "." in base.name or not tag else f"{base.name}.{tag}"


def _metadata(adapter: Adapter, facts: BaseFacts, *, title: str, data: str | None) -> ModelCardData:
    results = list(_eval_results(adapter, data))
    kind = adapter.config.adapter_type
    return ModelCardData(
        library_name="peft" if kind in _PEFT_LOADS else "lora-vit-web",
        base_model=facts.model,
        base_model_relation="adapter",
        base_model_sha256=adapter.base_sha256,
        pipeline_tag=TASK,
        tags=["lora-vit-web", "timm", "vision-transformer", kind.lower()],
        model_name=title if results else None,
        eval_results=results or None,
    )


def _eval_results(adapter: Adapter, data: str | None) -> Iterable[EvalResult]:
    for split, measured in _measured(adapter):
        for key, metric, label in _METRICS:
            if measured.get(key) is not None:
                yield EvalResult(
                    task_type=TASK,
                    task_name="Image classification",
                    dataset_type="imagefolder",
                    dataset_name=data or "a folder of images",
                    dataset_split=split,
                    dataset_args={"images": measured["n"]},
                    metric_type=metric,
                    metric_name=label,
                    metric_value=measured[key],
                )


def _measured(adapter: Adapter) -> list[tuple[str, Mapping[str, Any]]]:
    metrics = adapter.summary.get("metrics") or {}
    return [(split, metrics[split]) for split in _SPLITS if metrics.get(split)]


def _thumbnail(adapter: Adapter) -> str:
    return f"![{escaped(thumbnail_text(adapter.class_names))}]({THUMBNAIL_FILE})"


def thumbnail_text(class_names: Sequence[str]) -> str:
    """Return the alternative text of a thumbnail."""
    shown = class_names[:MAX_IMAGES]
    return f"One training image each of {', '.join(shown)}" + (
        f"; {len(class_names) - len(shown)} more classes are not shown"
        if len(class_names) > len(shown)
        else ""
    )


def _summary(adapter: Adapter, base: Base) -> str:
    side, classes = adapter.preprocessing.image_size, len(adapter.class_names)
    what = (
        f"Finds which of {classes} labels an image has: none, one or several."
        if several(adapter.config.labels)
        else f"Classifies images into {classes} classes."
    )
    return (
        f"{what} It is a small adapter (type "
        f"{adapter.config.adapter_type}, {adapter.parameter_count:,} trained parameters including the head) "
        f"on a frozen Vision Transformer of {base.depth} blocks, trained with LoRA-ViT Web on images of "
        f"{side} × {side} pixels."
    )


def _class_list(names: Sequence[str]) -> str:
    more = len(names) - CLASSES_SHOWN
    rest = f", and {more} more (see `task.json`)" if more > 0 else ""
    return f"In the order of the logits: {', '.join(map(escaped, names[:CLASSES_SHOWN]))}{rest}."


def _results(adapter: Adapter) -> str:
    measured = _measured(adapter)
    if not measured:
        return "No results are stored with this adapter."
    columns = [(key, label) for key, _, label in _METRICS if any(key in values for _, values in measured)]
    columns.insert(1, ("linear_probe_accuracy", "Probe"))
    rows = [["Split", "Images", *(label for _, label in columns)], ["---"] + ["---:"] * (len(columns) + 1)]
    rows += [[split, f"{v['n']}", *(_figure(v.get(key)) for key, _ in columns)] for split, v in measured]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    exact = (
        "Accuracy counts an image if all of its labels are right. mAP is the mean of the labels' average "
        "precision. "
        if several(adapter.config.labels)
        else ""
    )
    return (
        f"{table}\n\n{exact}The probe is a head in closed form on the frozen base. Its accuracy is that on "
        f"the same images. The best epoch and the calibration{_thresholds_too(adapter)} were chosen on the "
        "validation split. The test split was used once."
    )


def _thresholds_too(adapter: Adapter) -> str:
    return " and the thresholds" if several(adapter.config.labels) else ""


def _figure(value: Any) -> str:
    return "–" if value is None else f"{value:.4f}"


def _training(adapter: Adapter, data: str | None) -> str:
    summary, config = adapter.summary, adapter.config.as_json()
    recipe = summary.get("recipe") or {}
    facts: dict[str, Any] = {"data": data}
    facts |= {key: summary.get(key) for key in ("train_images", "validation_images", "test_images", "note")}
    facts |= {"adapter type": config["adapter_type"]}
    keys = _LORA_FIELDS if config["adapter_type"] in _PEFT_LOADS else ("blocks", "pooling")
    facts |= {key: config[key] for key in keys}
    facts |= {"readout": readout_text(adapter.config.taps) if adapter.config.taps else None}
    facts |= {"epochs": summary.get("epochs"), "epoch kept": summary.get("best_epoch")}
    facts |= {key: recipe.get(key) for key in _RECIPE}
    facts |= {"precision": summary.get("precision")}
    return "\n".join(
        f"- {key.replace('_', ' ')}: {escaped(', '.join(value) if isinstance(value, list) else value)}"
        for key, value in facts.items()
        if value not in (None, "")
    )


def _use(adapter: Adapter, base: Base, facts: BaseFacts, name: str) -> str:
    side, preprocessing = adapter.preprocessing.image_size, adapter.preprocessing
    own = (
        f"In Python, with LoRA-ViT Web and these files in a folder `{name}`:\n\n"
        "```python\n"
        "from loravit_web import ViTFeatureExtractor\n\n"
        f"{facts.extractor}\n"
        f'vit.load_all_adapters("{name}")\n'
        f'vit.set_active_adapter("{name}")\n'
        'logits = vit.infer(["image.jpg"])\n'
        f"{_answer_code(adapter, name)}"
        "```"
    )
    fits = adapter.config.adapter_type in _PEFT_LOADS and adapter.config.pooling == base.native_pooling
    if not fits:
        return f"{own}\n\nPEFT cannot run it, because it lacks this adapter type, or timm lacks this pooling."
    function = READINGS[adapter.config.labels].function
    pixels = (
        f"Images are RGB, resized (not cropped) to {side} × {side} pixels with bicubic interpolation, and "
        f"normalized with mean {list(preprocessing.mean)} and standard deviation {list(preprocessing.std)}. "
        f"Divide the logits by {adapter.temperature:.4f} before the {function}."
        f"{_brightness(preprocessing)}"
    )
    peft = (
        "With PEFT and timm:\n\n"
        "```python\n"
        f"{facts.code.format(classes=len(adapter.class_names))}\n\n"
        "from peft import PeftModel\n\n"
        f'model = PeftModel.from_pretrained(model, "{name}").eval()\n'
        "```"
    )
    if adapter.config.taps:
        peft += (
            "\n\nPEFT leaves out the part of the head that reads other blocks (readout "
            f"{readout_text(adapter.config.taps)}), so its answers differ and its accuracy is usually lower."
        )
    return f"{own}\n\n{peft}\n\n{pixels}"


def _brightness(preprocessing: Preprocessing) -> str:
    """Return how images of more than 8 bits are scaled, with a space before, if any were trained on."""
    whites = preprocessing.whites
    known = [] if whites is None else [white for white in (whites.integer, whites.decimal) if white]
    if not known:
        return ""
    values = " (or, with decimal values, ".join(f"{white:g}" for white in known) + ")" * (len(known) - 1)
    return f" Images of more than 8 bits become 8 bits first, from 0 to {values}."


def _answer_code(adapter: Adapter, name: str) -> str:
    if not several(adapter.config.labels):
        return "print(vit.class_names()[int(logits.argmax())])\n"
    return (
        f'adapter = vit.engine.adapter("{name}")\n'
        "print([vit.class_names()[index] for index in adapter.answer(adapter.scores(logits[0]))])\n"
    )


def _limits(adapter: Adapter) -> str:
    unknown = (
        "It only knows these labels: an image of anything else gets some of them, or none."
        if several(adapter.config.labels)
        else "It only knows these classes: any other image is assigned to one of them, often with a high "
        "score."
    )
    images = sum(values["n"] for _, values in _measured(adapter))
    measured = (
        f"Its results were measured on {images} images from the source of the training images"
        if images
        else "It was not evaluated"
    )
    return "\n".join(
        f"- {line}"
        for line in (
            unknown,
            f"{measured}; results may be worse for other cameras, places or times.",
            "It only works on the exact weights named above; with other weights its results are meaningless.",
            "Do not use it for decisions about people, their health or their safety unless it was evaluated "
            "for that.",
            "No license is stated: ask the publisher, also about the training images.",
        )
    )
