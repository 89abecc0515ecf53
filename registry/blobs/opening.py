"""From an address to the store that is there."""

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from registry.blobs.cache import BlobCache
from registry.blobs.local import LocalBlobs
from registry.blobs.remote import open_remote
from registry.blobs.store import BlobStore


def open_blobs(artifacts: Path | str, cache: Path | None = None) -> BlobStore:
    """The store in a folder, or at an address of fsspec such as `file:///data` or `s3://bucket/folder`.

    A store elsewhere keeps what it reads in the folder `cache`. BlobNotStored or UnusableArtifactAddress.
    """
    if isinstance(artifacts, Path) or "://" not in artifacts:
        return LocalBlobs(Path(artifacts).absolute())
    parts = urlsplit(artifacts)
    if parts.scheme in ("file", "local"):
        return LocalBlobs(Path(url2pathname(parts.path)).absolute())
    return open_remote(artifacts, BlobCache(cache) if cache is not None else None)
