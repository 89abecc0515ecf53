"""``predict``: classify images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loravit_web.cli.shell import (
    AsJson,
    CommandFailed,
    Document,
    note,
    open_service,
    output,
    refuse_together,
    write_file,
)

if TYPE_CHECKING:
    from loravit_web.serving.answers import Answer


def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Images to classify.")],
    task: Annotated[
        list[str],
        typer.Option(metavar="SLUG[@V|@ALIAS]", help="Adapter or version. Repeat it to use several."),
    ],
    top_k: Annotated[int, typer.Option(metavar="N", help="Labels per image and task.")] = 5,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a CSV file with one row per image, task and label."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Classify images."""
    if csv is not None and as_json:
        refuse_together("--json", "--csv")
    answers = _answers(images, task, top_k)
    if csv is None:
        documents = [predicted_document(name, answer) for name, answer in answers]
        output(as_json, documents, lambda: predicted_text(documents))
        return
    from loravit_web.serving.table import Row, as_csv

    write_file(csv, as_csv([Row(name, answer.results, None) for name, answer in answers]).encode())
    note(f"{len(answers)} images in {csv}.")


def predicted_document(image: str, answer: Answer) -> Document:
    """Return the labels of one image per task as JSON-ready values."""
    return {
        "image": image,
        "results": [
            {key: result[key] for key in ("task", "answer", "labels_per_image", "labels", "unsure", "unlike")}
            for result in answer.as_json()["results"]
        ],
    }


def predicted_text(documents: list[Document]) -> str:
    """Return `predicted_document` of several images as text."""
    lines = []
    for document in documents:
        lines.append(document["image"])
        for result in document["results"]:
            labels = ", ".join(f"{label['label']} {label['score']:.3f}" for label in result["labels"])
            answer = f"{', '.join(result['answer']) or 'none'}: " if _has_several(result) else ""
            lines.append(f"  {result['task']}: {answer}{labels}{_doubt(result)}")
    return "\n".join(lines)


def _has_several(result: Document) -> bool:
    return bool(result["labels_per_image"] == "many")


def _doubt(result: Document) -> str:
    if result["unlike"]:
        return " (unlike the training images)"
    return " (low confidence)" if result["unsure"] else ""


def _answers(images: list[Path], tasks: list[str], top_k: int) -> list[tuple[str, Answer]]:
    """Return the path and the answer of each image.

    Raises:
        CommandFailed: If a task fails for an image.
    """
    from loravit_web.images.loading import load_rgb

    answers, failures = [], []
    with open_service() as service:
        predictor = service.predictor
        predictor.refresh(load=False)
        for path in images:
            image = load_rgb(path, max_pixels=service.settings.limits.pixels)
            answer = predictor.classify(image, tasks, top_k=top_k)
            failures += [result.error for result in answer.results if result.error]
            answers.append((str(path), answer))
    if failures:
        raise CommandFailed(failures[0])
    return answers
