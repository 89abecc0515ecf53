"""Waiting behavior of torch's threads, set before torch is imported."""

from __future__ import annotations

from collections.abc import MutableMapping

SPINS = "3000"
"""Number of spins of a waiting thread."""


def share_cores(environ: MutableMapping[str, str]) -> None:
    """Let idle threads release their core soon. Call it before the first import of torch.

    OpenMP's threads spin while they wait. That is free while no other process needs the core, but the app
    answers while its worker trains. With the default, two processes on two cores slow each other down to a
    quarter of their speed. After a short spin it is a half, and a single process is not slower. An existing
    setting is not changed.

    Args:
        environ: Environment of the process.
    """
    if "OMP_WAIT_POLICY" not in environ:
        environ.setdefault("GOMP_SPINCOUNT", SPINS)
