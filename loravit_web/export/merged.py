"""Export of one version as a single ONNX model, in the layout that transformers.js and Optimum read.

The adapter is merged into the weights, and the temperature into the head, so that the softmax or sigmoid of
the logits gives the app's probabilities. "Unlike" is not part of this layout.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loravit_web import __version__
from loravit_web.adapters import Adapter
from loravit_web.adapters.files.fileset import CARD_FILE
from loravit_web.adapters.files.format import TASK_FILE, WEIGHTS_FILE
from loravit_web.backbones import Base
from loravit_web.export import vit
from loravit_web.export.check import TOLERANCES, check_images, difference, engine_answers
from loravit_web.export.folder import Progress, new_folder
from loravit_web.export.graph import Graph, sha256
from loravit_web.export.licenses import base_entry
from loravit_web.export.plan import Version
from loravit_web.export.summary import CONFIG_FILE
from loravit_web.runtime.layout import Precision
from loravit_web.runtime.model import new_session
from loravit_web.util.labels import several

NAMES: dict[Precision, str] = {"fp32": "model", "fp16": "model_fp16", "int8": "model_quantized"}
"""Names of the model's file by precision, by the conventions of transformers.js."""
PREPROCESSOR_FILE = "preprocessor_config.json"
_LANCZOS = 1
"""Pillow's number of the filter. In Node.js, transformers.js resizes by bicubic without smoothing.

That changed the answer for 2 of 12 photographs; with Lanczos all answers were the app's.
"""


def export_merged(
    base: Base, version: Version, folder: Path, precision: Precision, progress: Progress
) -> dict[str, Any]:
    """Write a version as one model, run it once with onnxruntime, and compare it with the engine.

    Args:
        base: Base in float32 that the version runs on.
        version: Version to export.
        folder: New or empty folder.
        precision: Precision in which weights are stored.
        progress: Called with a fraction from 0 to 1 and the current step.

    Returns:
        What ``config.json`` says about the export.

    Raises:
        FolderInUse: If the folder has files.
        NotExportable: If the base or the adapter cannot be written.
        ExportDiffers: If the model does not compute the engine's logits. Nothing is written then.
        RuntimeMissing: If onnxruntime is not installed.
        OSError: If a file cannot be written.
    """
    with new_folder(folder) as work:
        path = work / "onnx" / f"{NAMES[precision]}.onnx"
        path.parent.mkdir()
        progress(0.1, f"Writing {path.name}")
        path.write_bytes(merged_model(base, version.adapter, precision))
        progress(0.7, "Comparing the export with the engine")
        images = check_images(version.adapter.preprocessing)
        expected, _novelty = engine_answers(base, version, images)
        (logits,) = new_session(path, None).run(["logits"], {"pixel_values": images.numpy()})
        found = difference(version.ref, logits, expected / version.adapter.temperature, TOLERANCES[precision])
        facts = {
            "made_by": f"loravit-web {__version__}",
            "task": version.ref,
            "title": version.title,
            "adapter_sha256": sha256(version.files[WEIGHTS_FILE]),
            "base": base_entry(base),
            "precision": precision,
            "largest_difference": found,
            "unsure_below": version.unsure_below,
            "thresholds": list(version.adapter.thresholds),
        }
        _write(work / CONFIG_FILE, {**config(base, version.adapter, version.class_names), "loravit": facts})
        _write(work / PREPROCESSOR_FILE, preprocessor(version.adapter))
        for name in (CARD_FILE, TASK_FILE):
            if name in version.files:
                (work / name).write_bytes(version.files[name])
        progress(1.0, "Exported")
        return facts


def merged_model(base: Base, adapter: Adapter, precision: Precision) -> bytes:
    """Return the ONNX model from normalized images (B, 3, S, S) to calibrated logits (B, C)."""
    graph, side = Graph("task", precision), adapter.preprocessing.image_size
    changes, taps = vit.merged(adapter), adapter.config.taps
    pixels = graph.add_input("pixel_values", ("batch_size", 3, side, side))
    tokens = vit.embedded(graph, base, pixels, side)
    pooled = {}
    last = adapter.config.last_block(base)
    for index in range(last):
        tokens = vit.block(graph, base, index, tokens, changes)
        if any(tap.block == index + 1 for tap in taps):
            pooled[index + 1] = vit.pooled(graph, base, tokens)
    read = []
    reads = (adapter.config.pooling or base.native_pooling).split("+")
    features = [base.parts.index(part) for part in base.parts if part in reads]
    if features:
        found = vit.features(graph, base, tokens)
        read += [graph.node("Gather", found, graph.integer(part), axis=1) for part in features]
    for tap in taps:
        of_block = graph.node("Squeeze", pooled[tap.block], graph.integers(1))
        read.append(graph.node("Gather", of_block, graph.integer(base.parts.index(tap.part)), axis=1))
    joined = read[0] if len(read) == 1 else graph.node("Concat", *read, axis=1)
    weight, bias = (t / adapter.temperature for t in (adapter.head_weight, adapter.head_bias))
    logits = graph.node(
        "Gemm", joined, graph.small("head.weight", weight), graph.small("head.bias", bias), transB=1
    )
    graph.add_output(logits, "logits", ("batch_size", len(adapter.class_names)))
    return graph.model()


def config(base: Base, adapter: Adapter, class_names: Sequence[str]) -> dict[str, Any]:
    """Return what libraries read in ``config.json``; the model itself is in the ONNX file."""
    names = {str(index): name for index, name in enumerate(class_names)}
    model: Any = base.model
    return {
        "architectures": ["ViTForImageClassification"],
        "model_type": "vit",
        "hidden_size": base.embed_dim,
        "num_hidden_layers": base.depth,
        "num_attention_heads": int(model.blocks[0].attn.num_heads),
        "intermediate_size": int(model.blocks[0].mlp.fc1.out_features),
        "image_size": adapter.preprocessing.image_size,
        "patch_size": base.patch_size,
        "num_channels": 3,
        "id2label": names,
        "label2id": {name: int(index) for index, name in names.items()},
        "problem_type": "multi_label_classification"
        if several(adapter.config.labels)
        else "single_label_classification",
    }


def preprocessor(adapter: Adapter) -> dict[str, Any]:
    """Return ``preprocessor_config.json``: a squash to a square, then normalization."""
    preprocessing = adapter.preprocessing
    side = preprocessing.image_size
    return {
        "image_processor_type": "ViTImageProcessor",
        "feature_extractor_type": "ViTFeatureExtractor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": _LANCZOS,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(preprocessing.mean),
        "image_std": list(preprocessing.std),
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
