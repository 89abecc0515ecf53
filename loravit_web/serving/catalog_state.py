"""The catalog as the predictor last saw it."""

from __future__ import annotations

from dataclasses import dataclass, field

from registry import Version


@dataclass
class CatalogState:
    """State of the whole catalog at a revision.

    Attributes:
        revision: Revision of the catalog.
        current: Version that each slug means, by slug.
        refused: Reason by ref for versions that cannot be used.
        retryable: Refs of versions that are refused because of a stored file, and are retried on request.
    """

    revision: int = -1
    current: dict[str, Version] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    retryable: set[str] = field(default_factory=set)
