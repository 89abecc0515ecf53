"""Prefix tokens that several trainings of one process share, as the runs of a sweep do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loravit_web.backbones.base import Base
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.training.prefix import RAM_LIMIT, PrefixTokens, compute_prefix_tokens


class TokenCache:
    """Computes prefix tokens once for trainings with the same trunk and image size, one after the other.

    Tokens that have to be mapped from a file are not kept, and neither are those of other settings.
    """

    def __init__(self) -> None:
        self._settings: tuple[Any, ...] = ()
        self._kept: dict[tuple[Path, ...], PrefixTokens] = {}

    def compute(
        self,
        base: Base,
        paths: Sequence[Path],
        preprocessing: Preprocessing,
        *,
        first_block: int,
        mirror: bool,
        scratch: Path,
        progress: Callable[[float], None],
        keep_tokens: bool = True,
    ) -> PrefixTokens:
        """Return the tokens of images; see `compute_prefix_tokens`."""
        on = (base.weights_sha256, base.dtype, str(base.device))
        settings = (*on, preprocessing, first_block, keep_tokens)
        if settings != self._settings:
            self._settings, self._kept = settings, {}
        key = (*paths, Path("mirrored" if mirror else "plain"))
        kept = self._kept.get(key)
        if kept is not None:
            progress(1.0)
            return kept
        computed = compute_prefix_tokens(
            base,
            paths,
            preprocessing,
            first_block=first_block,
            mirror=mirror,
            scratch=scratch,
            progress=progress,
            keep_tokens=keep_tokens,
        )
        if computed.tokens.numel() * computed.tokens.element_size() <= RAM_LIMIT:
            self._kept[key] = computed
        return computed
