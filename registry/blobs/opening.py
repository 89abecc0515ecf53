"""Opening the artifact store at an address."""

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from registry.blobs.cache import BlobCache
from registry.blobs.local import LocalBlobs
from registry.blobs.remote import open_remote
from registry.blobs.store import BlobStore


def open_blobs(artifacts: Path | str, cache: Path | None = None) -> BlobStore:
    """Open the store in a folder, or at an fsspec address such as `file:///data` or `s3://bucket/folder`.

    Args:
        artifacts: the folder or the address.
        cache: a folder that keeps copies of files read from a remote store; None for no copies.

    Raises:
        BlobNotStored: if the folder cannot be created.
        UnusableArtifactAddress: if no store can be opened at the address.
    """
    if isinstance(artifacts, Path) or "://" not in artifacts:
        return LocalBlobs(Path(artifacts).absolute())
    parts = urlsplit(artifacts)
    if parts.scheme in ("file", "local"):
        return LocalBlobs(Path(url2pathname(parts.path)).absolute())
    return open_remote(artifacts, BlobCache(cache) if cache is not None else None)
