"""The model card of an adapter, in the format of the Hugging Face Hub: metadata in YAML, then Markdown.

It is made from the adapter alone, without clock or version number, so that the same adapter always gets
the same card. Every text that a person chose is escaped; the YAML is written by huggingface_hub.
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
from loravit_web.adapters.files.thumbnail import MAX_PICTURES
from loravit_web.backbones.base import Base
from loravit_web.backbones.embedded import REQUIREMENT
from loravit_web.backbones.loading import EMBEDDED

TASK = "image-classification"
CLASSES_SHOWN = 200
_SPLITS = ("validation", "test")
# What task.json may hold of a split, with the Hub's name of the metric and ours.
_METRICS = (
    ("accuracy", "accuracy", "Accuracy"),
    ("macro_f1", "f1", "Macro F1"),
    ("loss", "loss", "Cross-entropy"),
    ("top5_accuracy", "accuracy", "Top-5 accuracy"),
    ("calibration_error", "calibration_error", "Calibration error"),
)
_RECIPE = ("preset", "batch_size", "lr", "weight_decay", "label_smoothing", "mirror", "max_images", "seed")
_LORA_FIELDS = ("r", "alpha", "dropout", "target_modules", "blocks", "use_rslora", "pooling")
_PEFT_LOADS = {"LORA"}
# Markdown's own signs, and what would make a link of a bare address.
_SIGNS = re.compile(r"([!#$*@\[\\\]_`|~]|:(?=//)|(?<=www)\.)", re.IGNORECASE)
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


@dataclass(frozen=True)
class BaseFacts:
    """What a card says of a base.

    Attributes:
        model: for ``base_model``.
        text: for people, in Markdown.
        code: Python that makes the timm model ``model`` with a head of ``{classes}``.
    """

    model: str
    text: str
    code: str


def model_card(
    adapter: Adapter,
    base: Base,
    *,
    name: str,
    title: str,
    data: str | None = None,
    thumbnail: bool = False,
) -> bytes:
    """The card of an adapter, in UTF-8.

    Args:
        base: that it was trained on.
        name: its slug.
        title: its name for people.
        data: what the images are called that it was trained and measured on.
        thumbnail: whether a thumbnail lies beside the card.
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
    """Text on one line that Markdown and HTML show as it is, links and mentions included."""
    line = "".join(
        " " if char.isspace() else char
        for char in str(text)
        if char.isspace() or unicodedata.category(char) not in {"Cc", "Cs"}
    )
    # bidirectional controls could turn the rest of the line around
    line = re.sub("[\u202a-\u202e\u2066-\u2069]", "", " ".join(line.split()))
    line = _SIGNS.sub(r"\\\1", line)
    return "".join(_HTML.get(char, char) for char in line)


def base_facts(base: Base) -> BaseFacts:
    """What is true of a base: where its weights come from and under which name others find it."""
    if base.name == EMBEDDED:
        package = REQUIREMENT.partition("==")[0]
        return BaseFacts(
            package,
            f"A DINOv2 ViT-S/14 (`{base.architecture}`) that was fine-tuned for saliency. Its weights are "
            f"not on the Hub: they come from the Python package `{REQUIREMENT}` (MIT licence), which is what "
            "`base_model` names. DINOv2's own weights are others, and the adapter does not fit them.",
            "from pathlib import Path\n\n"
            "from loravit_web.backbones import load_base\n\n"
            f'model = load_base("{EMBEDDED}", Path("bases"), lambda *_: None).model\n'
            "model.reset_classifier({classes})",
        )
    identity = _timm_id(base)
    return BaseFacts(
        f"timm/{identity}",
        f"The timm model [`{identity}`](https://huggingface.co/timm/{identity}).",
        "import timm\n\n"
        f'model = timm.create_model("{identity}", pretrained=True, num_classes={{classes}}, '
        "dynamic_img_size=True)",
    )


def _timm_id(base: Base) -> str:
    """The timm name with the tag of its weights, which timm chooses where only an architecture was named."""
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
    """What a thumbnail shows, for those who can't see it."""
    shown = class_names[:MAX_PICTURES]
    return f"One training image each of {', '.join(shown)}" + (
        f" and none of {len(class_names) - len(shown)} more classes" if len(class_names) > len(shown) else ""
    )


def _summary(adapter: Adapter, base: Base) -> str:
    side = adapter.preprocessing.image_size
    return (
        f"Sorts pictures into {len(adapter.class_names)} classes. It is a small adapter (type "
        f"{adapter.config.adapter_type}, {adapter.parameter_count:,} trained numbers, head included) on a "
        f"frozen Vision Transformer of {base.depth} blocks, trained with LoRA-ViT Web on pictures of "
        f"{side} × {side} pixels."
    )


def _class_list(names: Sequence[str]) -> str:
    more = len(names) - CLASSES_SHOWN
    rest = f", and {more} more (`task.json` has them all)" if more > 0 else ""
    return f"In the order of the logits: {', '.join(map(escaped, names[:CLASSES_SHOWN]))}{rest}."


def _results(adapter: Adapter) -> str:
    measured = _measured(adapter)
    if not measured:
        return "None are stored with this adapter."
    columns = [(key, label) for key, _, label in _METRICS if any(key in values for _, values in measured)]
    columns.insert(1, ("linear_probe_accuracy", "Linear probe"))
    rows = [["Split", "Images", *(label for _, label in columns)], ["---"] + ["---:"] * (len(columns) + 1)]
    rows += [[split, f"{v['n']}", *(_figure(v.get(key)) for key, _ in columns)] for split, v in measured]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return (
        f"{table}\n\nThe linear probe is the accuracy of the frozen base with a head alone, on the same "
        "images. The best epoch and the calibration were chosen on the validation images; test images were "
        "looked at once."
    )


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
    ours = (
        f"In Python, with LoRA-ViT Web and these files in a folder `{name}`:\n\n"
        "```python\n"
        "from loravit_web import ViTFeatureExtractor\n\n"
        f'vit = ViTFeatureExtractor(base="{base.name}")\n'
        f'vit.load_all_adapters("{name}")\n'
        f'vit.set_active_adapter("{name}")\n'
        'logits = vit.infer(["picture.jpg"])\n'
        "print(vit.class_names()[int(logits.argmax())])\n"
        "```"
    )
    fits = adapter.config.adapter_type in _PEFT_LOADS and adapter.config.pooling == base.native_pooling
    if not fits:
        return f"{ours}\n\nPEFT alone can't run it: it has no such adapter type, or timm no such pooling."
    pixels = (
        f"Pictures are RGB, squashed (not cropped) to {side} × {side} pixels with bicubic interpolation, and "
        f"normalised with mean {list(preprocessing.mean)} and standard deviation {list(preprocessing.std)}. "
        f"Divide the logits by {adapter.temperature:.4f} before the softmax."
    )
    theirs = (
        "With PEFT and timm:\n\n"
        "```python\n"
        f"{facts.code.format(classes=len(adapter.class_names))}\n\n"
        "from peft import PeftModel\n\n"
        f'model = PeftModel.from_pretrained(model, "{name}").eval()\n'
        "```"
    )
    return f"{ours}\n\n{theirs}\n\n{pixels}"


def _limits(adapter: Adapter) -> str:
    images = sum(values["n"] for _, values in _measured(adapter))
    figures = f"Its figures were measured on {images} images" if images else "It was not measured on images"
    return "\n".join(
        f"- {line}"
        for line in (
            "It knows these classes alone: any other picture gets one of them too, often with a high score.",
            f"{figures} of the training images' source; other cameras, places or times may do worse.",
            "It runs on exactly the weights named above; on others its answers mean nothing.",
            "Not for decisions about people, their health or their safety, unless it was evaluated for that.",
            "No licence is stated: ask whoever published it, also about the training images.",
        )
    )
