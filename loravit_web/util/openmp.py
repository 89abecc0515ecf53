"""How torch's threads wait for each other, decided before torch is loaded."""

from __future__ import annotations

from collections.abc import MutableMapping

SPINS = "3000"


def share_cores(environ: MutableMapping[str, str]) -> None:
    """Let idle threads give their core up soon; call it before the first import of torch.

    OpenMP's threads spin while they wait. That is free as long as nobody else needs the core, but the app
    answers while its worker trains: with the default, two processes on two cores slow each other down to
    a quarter of their speed each; after a short spin, to a half, and one alone loses nothing. What the
    environment already says is left alone.
    """
    if "OMP_WAIT_POLICY" not in environ:
        environ.setdefault("GOMP_SPINCOUNT", SPINS)
