"""``predict``: classify images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
from loravit_web.errors import LoraVitError

if TYPE_CHECKING:
    from loravit_web.serving.answers import Answer


def predict(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="Images to classify, or folders whose images are classified."),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SLUG[@V|@ALIAS]",
            help="Adapter or version. Repeat it to use several. Required, except with --exported.",
        ),
    ] = None,
    exported: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Use the tasks in a folder that loravit export wrote, by default all."
        ),
    ] = None,
    top_k: Annotated[int, typer.Option(metavar="N", help="Labels per image and task.")] = 5,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a CSV file with one row per image, task and label."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Classify images. An image that cannot be read has an error, and the others are classified."""
    if csv is not None and as_json:
        refuse_together("--json", "--csv")
    if not task and exported is None:
        raise typer.BadParameter("name a task, or a folder with --exported.", param_hint="--task")
    if csv is not None and exported is not None:
        refuse_together("--exported", "--csv")
    if exported is not None:
        documents = exported_documents(exported, _files(images), task, top_k)
        output(as_json, documents, lambda: predicted_text(documents))
        _refuse_failures([document["error"] for document in documents if "error" in document], len(documents))
        return
    found = _answers(_files(images), task or [], top_k)
    if csv is None:
        documents = [
            predicted_document(name, result) if not isinstance(result, str) else failed_document(name, result)
            for name, result in found
        ]
        output(as_json, documents, lambda: predicted_text(documents))
    else:
        from loravit_web.serving.table import Row, as_csv

        rows = [
            Row(name, result.results, None) if not isinstance(result, str) else Row(name, (), result)
            for name, result in found
        ]
        write_file(csv, as_csv(rows).encode())
        note(f"{len(rows)} images in {csv}.")
    _refuse_failures([result for _name, result in found if isinstance(result, str)], len(found))


def predicted_document(image: str, answer: Answer) -> Document:
    """Return the labels of one image per task as JSON-ready values."""
    return {
        "image": image,
        "results": [
            {key: result[key] for key in ("task", "answer", "labels_per_image", "labels", "unsure", "unlike")}
            for result in answer.as_json()["results"]
        ],
    }


def exported_documents(
    folder: Path, images: Sequence[Path], tasks: Sequence[str] | None, top_k: int
) -> list[Document]:
    """Return the answers of exported tasks for images as JSON-ready values. It does not import torch.

    Args:
        folder: Folder that ``loravit export`` wrote.
        images: Files of the images.
        tasks: Names of tasks, or None for all.
        top_k: Maximum number of labels per task.

    Raises:
        LoraVitError: If the folder cannot be used, or it does not have a task.
    """
    from loravit_web.images.loading import ImageError
    from loravit_web.runtime import load

    model = load(folder)
    chosen = [model.task(name).task for name in tasks or (task.task for task in model.tasks)]
    documents = []
    for path in images:
        try:
            answers = model.classify(path, chosen, top_k=top_k)
        except ImageError as error:
            documents.append(failed_document(str(path), str(error)))
        else:
            documents.append({"image": str(path), "results": [answer.as_json() for answer in answers]})
    return documents


def failed_document(image: str, error: str) -> Document:
    """Return the error of one image as JSON-ready values."""
    return {"image": image, "results": [], "error": error}


def predicted_text(documents: list[Document]) -> str:
    """Return `predicted_document` of several images as text."""
    lines = []
    for document in documents:
        lines.append(document["image"])
        if "error" in document:
            lines.append(f"  error: {document['error']}")
        for result in document["results"]:
            labels = ", ".join(f"{label['label']} {label['score']:.3f}" for label in result["labels"])
            answer = f"{', '.join(result['answer']) or 'none'}: " if _has_several(result) else ""
            lines.append(f"  {result['task']}: {answer}{labels}{_doubt(result)}")
    return "\n".join(lines)


def _refuse_failures(errors: Sequence[str], images: int) -> None:
    """End the command with exit code 1 if images failed.

    Raises:
        CommandFailed: If there is an error.
    """
    if errors:
        raise CommandFailed(f"{len(errors)} of {images} images could not be classified. {errors[0]}")


def _has_several(result: Document) -> bool:
    return bool(result["labels_per_image"] == "many")


def _doubt(result: Document) -> str:
    if result["unlike"]:
        return " (unlike the training images)"
    return " (low confidence)" if result["unsure"] else ""


def _files(images: Sequence[Path]) -> list[Path]:
    """Return the images, and of each folder the images inside it, sorted by path.

    Raises:
        CommandFailed: If a folder has no images.
    """
    files: list[Path] = []
    for path in images:
        if not path.is_dir():
            files.append(path)
            continue
        from loravit_web.datasets.layout.files import is_wanted  # takes a second to import

        inside = sorted(file for file in path.rglob("*") if file.is_file())
        wanted = [
            file for file in inside if is_wanted(file.relative_to(path).as_posix(), partial(_beginning, file))
        ]
        if not wanted:
            raise CommandFailed(f"{path} contains no images. Choose another folder.")
        files += wanted
    return files


def _beginning(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(256)
    except OSError:
        return b""


def _answers(images: Sequence[Path], tasks: list[str], top_k: int) -> list[tuple[str, Answer | str]]:
    """Return the path of each image with its answer, or with the reason why it has none.

    Raises:
        LoraVitError: If no image can be classified.
    """
    from loravit_web.images.loading import load_rgb

    found: list[tuple[str, Answer | str]] = []
    last: LoraVitError | None = None
    with open_service() as service:
        predictor = service.predictor
        predictor.refresh(load=False)
        for path in images:
            try:
                image = load_rgb(path, max_pixels=service.settings.limits.pixels)
                answer = predictor.classify(image, tasks, top_k=top_k)
            except LoraVitError as error:
                last = error
                found.append((str(path), str(error)))
                continue
            failures = [result.error for result in answer.results if result.error]
            if len(failures) == len(answer.results):
                last = CommandFailed(failures[0])
                found.append((str(path), failures[0]))
            else:
                found.append((str(path), answer))
    if last is not None and not any(not isinstance(result, str) for _path, result in found):
        raise last
    return found
