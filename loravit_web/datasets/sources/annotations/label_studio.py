"""Label Studio's JSON: tasks with an image and the choices of an annotation."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loravit_web.datasets.errors import InvalidAnnotations
from loravit_web.datasets.sources.annotations.entries import Entries, Entry, path_in
from loravit_web.datasets.sources.csv_table.columns import PATH, roles
from loravit_web.images.formats import IMAGE_SUFFIXES
from loravit_web.util.text import listed, plural

_DONE = ("annotations", "completions")  # the second one before version 1.0


def is_label_studio(document: Any) -> bool:
    """Return whether a JSON value is a list of Label Studio's tasks with annotations."""
    return (
        isinstance(document, list)
        and bool(document)
        and all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in document)
        and any(isinstance(task.get(done), list) for task in document for done in _DONE)
    )


def read_label_studio(tasks: Sequence[Mapping[str, Any]], name: str) -> Entries:
    """Return the images of tasks with the choices of their first annotation that was not cancelled.

    Tasks without an annotation are left out.

    Args:
        tasks: The tasks; see `is_label_studio`.
        name: Name of the file, for errors.

    Raises:
        InvalidAnnotations: If the annotations answer several questions, or none with choices.
    """
    entries, questions, differing = [], set(), 0
    for task in tasks:
        given = list(_annotations(task))
        if not given:
            continue
        questions |= {question for question, _ in given}
        differing += len({names for _, names in given}) > 1
        path = _image_of(task["data"])
        if path:
            entries.append(Entry(path, given[0][1]))
    if len(questions) > 1:
        asked = listed([f"“{question}”" for question in sorted(questions)])
        raise InvalidAnnotations(f"“{name}” answers several questions: {asked}. Export only one of them.")
    if not entries:
        raise InvalidAnnotations(f"“{name}” has no tasks with an image and choices. Annotate them first.")
    several = any(len(entry.names) != 1 for entry in entries)
    notes = []
    if several:
        notes.append(f"Several labels per image, one for each choice in “{name}”.")
    if differing:
        notes.append(
            f"{plural(differing, 'task')} of “{name}” have annotations that differ; the first one is used."
        )
    return Entries(entries, "many" if several else "one", tuple(notes))


def _annotations(task: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield question and choices of each annotation of a task."""
    for done in _DONE:
        for annotation in task.get(done) or ():
            if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
                continue
            for result in annotation.get("result") or ():
                if not isinstance(result, dict) or result.get("type") != "choices":
                    continue
                value = result.get("value")
                choices = value.get("choices") if isinstance(value, dict) else None
                if isinstance(choices, list) and all(isinstance(choice, str) for choice in choices):
                    yield str(result.get("from_name") or ""), tuple(choices)


def _image_of(data: Mapping[str, Any]) -> str:
    """Return the path of a task's image, or an empty text."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    named = roles(list(texts))
    keys = [list(texts)[named[PATH]]] if PATH in named else []
    for key in (*keys, *texts):
        path = path_in(texts[key])
        if key in keys or posixpath.splitext(path)[1].lower() in IMAGE_SUFFIXES:
            return path
    return ""
