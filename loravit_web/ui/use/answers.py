"""HTML of the answers of the selected tasks for an image."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from markupsafe import Markup
from PIL import Image

from loravit_web.errors import LoraVitError
from loravit_web.serving.answers import Answer
from loravit_web.serving.collecting import slug_of
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.kit.uploads import uploaded_image
from loravit_web.ui.language.texts import _
from loravit_web.ui.templates import render
from loravit_web.ui.use.camera import frame_image
from loravit_web.ui.use.evidence import small_map
from loravit_web.ui.use.teach import teachable
from loravit_web.util.text import listed
from loravit_web.visibility import Seen
from registry import RegistryError


def no_tasks() -> Markup:
    """Return the notice in place of answers while the catalog is empty."""
    return notice(
        _("Train your first task in the Train tab, with your own images or a sample dataset."),
        title=_("The catalog is empty."),
    )


def no_image() -> Markup:
    """Return the notice in place of answers before there is an image."""
    return notice(_("Drop an image, use the camera, or pick an example."))


def no_pick() -> Markup:
    """Return the notice in place of answers before a task is selected."""
    return notice(_("Select a task to see its prediction."))


def answers_html(seen: Seen, upload: Any, picked: Sequence[str], top_k: int, *, heat: bool) -> Markup:
    """Return the answers, or a notice that says how to get some.

    Args:
        seen: What the visitor sees of the app.
        upload: Uploaded file or frame of the camera as the page sends it, or None.
        picked: Selected tasks, as slugs or versions.
        top_k: Maximum number of labels per task.
        heat: Whether to show a heat map for each task. Frames of the camera get none.
    """
    if upload is None or not picked:
        return no_tasks() if seen.predictor.empty else no_image() if upload is None else no_pick()
    try:
        image = given_image(seen, upload)
        answer = seen.predictor.classify(image, picked, top_k=top_k)
        looks = heat and _frame_of(upload) is None
        maps = (
            {r.task: small_map(seen, upload, image, r) for r in answer.results if r.labels} if looks else {}
        )
        is_stored = _frame_of(upload) is None
        if not is_stored:  # a frame of the camera
            return answer_columns(answer, maps)
        seen.collector.offer(image, answer.results)
        kept = [
            result.title for result in answer.results if slug_of(result) in seen.collector.tasks([result])
        ]
        return answer_columns(answer, maps, teachable(seen, answer.results), kept)
    except (LoraVitError, RegistryError) as error:
        return notice(error.in_public, kind="error")


def given_image(seen: Seen, given: Any) -> Image.Image:
    """Return the image of a request in RGB, which must not be changed.

    Args:
        seen: What the visitor sees of the app.
        given: Uploaded file, or ``{"frame": text}`` with a frame of the camera.

    Raises:
        LoraVitError: If it is neither, or not a readable image.
    """
    frame = _frame_of(given)
    return uploaded_image(seen, given) if frame is None else frame_image(frame)


def _frame_of(given: Any) -> str | None:
    frame = given.get("frame") if isinstance(given, dict) else None
    return None if frame is None else str(frame)


def answer_columns(
    answer: Answer, maps: Mapping[str, Markup], taught: Collection[str] = (), kept: Sequence[str] = ()
) -> Markup:
    """Return one column per task, side by side.

    Args:
        answer: Answers of the tasks.
        maps: HTML of the heat maps, by task.
        taught: Versions to whose training data the image can be added.
        kept: Titles of tasks that keep images of which they are unsure.
    """
    return render(
        "use/answers",
        results=answer.results,
        maps=maps,
        taught=taught,
        kept=listed(kept),
        answered=sum(1 for result in answer.results if result.error is None),
        milliseconds=answer.milliseconds,
    )
