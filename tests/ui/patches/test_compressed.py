"""Who takes which way of compression."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from loravit_web.ui.patches.compressed import encoding_of


@pytest.mark.parametrize(
    ("told", "way"),
    [
        ("gzip, deflate, br", "br"),
        ("gzip;q=0.8, br;q=0.5", "br"),
        ("gzip, br;q=0", "gzip"),
        ("gzip; q=0.0", None),
        ("identity", None),
        ("", None),
    ],
)
def test_brotli_is_taken_before_gzip_and_what_is_refused_is_not(told: str, way: str | None) -> None:
    assert encoding_of(Headers({"accept-encoding": told})) == way
