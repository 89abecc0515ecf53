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
    """

    revision: int = -1
    current: dict[str, Version] = field(default_factory=dict)
