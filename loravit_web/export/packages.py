"""Packages of the npm registry that exported pages contain, fetched once under a pinned hash."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from filelock import FileLock

from loravit_web.errors import LoraVitError
from loravit_web.util.files import write_atomic

REGISTRY = "https://registry.npmjs.org"
SECONDS = 60
"""Seconds without data after which a download fails."""


class PackageUnavailable(LoraVitError):
    """A package that cannot be downloaded, or that has another hash."""


@dataclass(frozen=True)
class Package:
    """A version of a package.

    Attributes:
        name: Name of the package, without a scope.
        version: Exact version.
        integrity: Hash of its file, as npm writes it.
    """

    name: str
    version: str
    integrity: str

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.name}-{self.version}.tgz"


ONNXRUNTIME_WEB = Package(
    "onnxruntime-web",
    "1.30.0",
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
)
"""Runtime of exported pages (MIT license)."""


def files_of(package: Package, names: Iterable[str], cache: Path) -> dict[str, bytes]:
    """Return files of a package by their name; download the package unless the cache has it.

    Args:
        package: The package.
        names: Paths of the files inside the package.
        cache: Folder of downloaded packages; created if needed.

    Raises:
        PackageUnavailable: If the package cannot be downloaded, or it has another hash.
        OSError: If the cache cannot be written.
    """
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / package.file
    with FileLock(cache / f"{package.file}.lock"):
        data = path.read_bytes() if path.exists() else b""
        if _integrity(data) != package.integrity:
            data = _downloaded(package)
            if _integrity(data) != package.integrity:
                raise PackageUnavailable(
                    f"{package.name} {package.version} of the npm registry does not have the pinned hash. "
                    "Use another registry or network."
                )
            write_atomic(path, data)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return {Path(name).name: _member(archive, f"package/{name}") for name in names}


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, f"{name} is not a file of the pinned package"
    return file.read()


def _integrity(data: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def _downloaded(package: Package) -> bytes:
    """Return the file of a package, from npm where it is installed, because npm knows proxies and mirrors."""
    npm = shutil.which("npm")
    if npm is not None:
        with tempfile.TemporaryDirectory() as folder:
            command = [npm, "pack", f"{package.name}@{package.version}", "--silent"]
            done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
            if done.returncode == 0:
                return (Path(folder) / package.file).read_bytes()
    try:
        with urlopen(f"{REGISTRY}/{package.name}/-/{package.file}", timeout=SECONDS) as response:
            return bytes(response.read())
    except (URLError, OSError) as error:
        raise PackageUnavailable(
            f"{package.name} {package.version} could not be downloaded from the npm registry. Check the "
            "network, or export as onnx."
        ) from error
