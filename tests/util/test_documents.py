"""Documents of a run are read by the version of the app that knows their schema, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from loravit_web.util.documents import document_bytes, read_document


def total(document: Mapping[str, Any]) -> int:
    return sum(document["numbers"])


def test_a_document_is_read_as_it_was_written() -> None:
    assert read_document(document_bytes(2, {"numbers": [1, 2]}), 2, total) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"3",
        b'{"numbers":[1]}',
        b'{"schema":1,"numbers":[1]}',
        b'{"schema":2}',
        b'{"schema":2,"numbers":null}',
        b'{"schema":2,"numbers":["1"]}',
    ],
)
def test_what_is_no_such_document_is_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_document(data, 2, total)
