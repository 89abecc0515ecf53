"""Search of a stored dataset by its title, its revision, or the beginning of its fingerprint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from loravit_web.datasets.errors import DatasetNotFound
from loravit_web.datasets.records import ImageDataset
from loravit_web.util.text import listed

_WITH_REVISION = re.compile(r"(.+)@(\d{1,9})")


def found_by(text: str, fingerprints: Iterable[str], datasets: Callable[[], Iterable[ImageDataset]]) -> str:
    """Return the fingerprint of the one dataset that a text names.

    Args:
        text: Beginning of a fingerprint, a title, which stands for its newest revision, or ``TITLE@2``.
        fingerprints: Fingerprints of all datasets.
        datasets: Returns all datasets that are not damaged.

    Raises:
        DatasetNotFound: If no dataset or several datasets match.
    """
    found = [one for one in fingerprints if text and one.startswith(text)]
    if len(found) == 1:
        return found[0]
    titled = _titled(text, list(datasets())) if text else []
    if len(titled) == 1:
        return titled[0].fingerprint
    if titled:
        which = listed([dataset.fingerprint[:12] for dataset in titled])
        raise DatasetNotFound(
            f"{len(titled)} stored datasets are called “{text[:64]}”. Use the fingerprint: {which}."
        )
    problem = "Several stored datasets begin" if found else "No stored dataset begins"
    raise DatasetNotFound(
        f"{problem} with {text[:64]!r}. Use more of the fingerprint, or import the images again."
    )


def number_of(dataset: ImageDataset) -> int:
    """Return the number of a dataset among the revisions of the same data, from 1."""
    return 1 if dataset.revision is None else dataset.revision.number


def first_of(dataset: ImageDataset) -> str:
    """Return the fingerprint of revision 1 of the same data."""
    return dataset.fingerprint if dataset.revision is None else dataset.revision.first


def _titled(text: str, datasets: Sequence[ImageDataset]) -> list[ImageDataset]:
    exact = [dataset for dataset in datasets if text in (dataset.name, dataset.title)]
    if exact:
        newest = max(map(number_of, exact))
        is_one_series = len({first_of(dataset) for dataset in exact}) == 1
        return [one for one in exact if number_of(one) == newest] if is_one_series else exact
    named = _WITH_REVISION.fullmatch(text)
    if named is None:
        return []
    return [one for one in datasets if one.name == named[1] and number_of(one) == int(named[2])]
