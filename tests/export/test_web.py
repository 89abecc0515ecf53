"""The exported page: its files, and how its runtime is fetched."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tarfile
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from loravit_web.backbones import Base
from loravit_web.export import packages, web
from loravit_web.export.packages import Package, PackageUnavailable, files_of
from loravit_web.export.web import export_web
from loravit_web.runtime import ExportedModel
from tests.adapters.makers import random_adapter
from tests.export.conftest import version_of


def package_of(contents: dict[str, bytes]) -> tuple[Package, bytes]:
    """Return a package with these files, and its bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    data = buffer.getvalue()
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    return Package("some-package", "1.0.0", f"sha512-{digest}"), data


class Registry:
    """A registry with one file, or none; counts the downloads."""

    def __init__(self, data: bytes | None) -> None:
        self.data, self.downloads = data, 0

    def __call__(self, _address: str, timeout: float) -> Any:
        self.downloads += 1
        if self.data is None:
            raise URLError("no network")
        return io.BytesIO(self.data)


@pytest.fixture(autouse=True)
def _no_npm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loravit_web.export.packages.shutil.which", lambda _name: None)


def serve(monkeypatch: pytest.MonkeyPatch, data: bytes | None) -> Registry:
    registry = Registry(data)
    monkeypatch.setattr(packages, "urlopen", registry)
    return registry


def test_a_package_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, data = package_of({"dist/a.js": b"a", "dist/b.js": b"b"})
    registry = serve(monkeypatch, data)
    for _ in range(2):
        assert files_of(package, ["dist/a.js"], tmp_path / "cache") == {"a.js": b"a"}
    assert registry.downloads == 1


def test_a_damaged_copy_is_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, data = package_of({"a.js": b"a"})
    serve(monkeypatch, data)
    (tmp_path / package.file).write_bytes(data[:-1])
    assert files_of(package, ["a.js"], tmp_path) == {"a.js": b"a"}


def test_a_package_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, data = package_of({"a.js": b"a"})
    serve(monkeypatch, data + b" ")
    with pytest.raises(PackageUnavailable, match="does not have the pinned hash"):
        files_of(package, ["a.js"], tmp_path)
    assert not (tmp_path / package.file).exists()


def test_a_package_without_a_network_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, _data = package_of({"a.js": b"a"})
    serve(monkeypatch, None)
    with pytest.raises(PackageUnavailable, match="could not be downloaded from the npm registry"):
        files_of(package, ["a.js"], tmp_path)


def test_a_page_has_everything_it_loads(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, data = package_of(dict.fromkeys(web._RUNTIME_FILES, b"runtime"))
    monkeypatch.setattr(web, "ONNXRUNTIME_WEB", package)
    serve(monkeypatch, data)
    out = tmp_path / "out"
    version = version_of(random_adapter(base), base)
    export_web(base, [version], out, "fp32", lambda _fraction, _stage: None, cache=tmp_path / "cache")
    assert ExportedModel(out / "model").tasks[0].task == "animals@1"
    texts = [path.read_text() for path in out.iterdir() if path.suffix in (".html", ".js")]
    linked = {name for text in texts for name in re.findall(r'"(?:\./)?([\w/-]+\.(?:js|css|mjs))"', text)}
    assert linked >= {"page.js", "page.css", "worker.js", "loravit-web.js", "sw.js"}
    inside = {path.name for path in out.rglob("*.*")}
    assert {Path(name).name for name in linked} <= inside
    assert not [text for text in texts if "http://" in text or "https://" in text]
    assert "{{" not in (out / "sw.js").read_text()
