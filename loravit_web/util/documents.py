"""JSON documents that name the version of their schema, as a run stores them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def document_bytes(schema: int, content: Mapping[str, Any]) -> bytes:
    """Return a document as compact JSON.

    Args:
        schema: Version of its schema.
        content: Its fields; ``schema`` is added.
    """
    return json.dumps({"schema": schema, **content}, separators=(",", ":")).encode()


def read_document(data: bytes, schema: int, read: Callable[[Mapping[str, Any]], T]) -> T:
    """Return what a function makes of a document.

    Args:
        data: Bytes that `document_bytes` returned.
        schema: Version of the schema that the function reads.
        read: Returns the content of a document. It may raise what missing and wrong fields raise.

    Raises:
        ValueError: If the data is not such a document.
    """
    try:
        document = json.loads(data)
        if document["schema"] != schema:
            raise ValueError(f"The schema has version {document['schema']}, not {schema}.")
        return read(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"The document has another form: {error!r}.") from error
