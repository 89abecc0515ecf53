"""The line above the tabs names what trains, and leads there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from loravit_web.ui.page.strip import job_strip, strip_update
from tests.runs.test_next_steps import run
from tests.ui.catalog.catalog_page import request
from tests.ui.conftest import RunningApp


def test_each_run_that_trains_is_a_button_with_its_escaped_name_and_what_it_still_takes() -> None:
    going = run("running", stage="Epoch 2 of 27", progress=0.2, eta_seconds=200.0)
    text = job_strip([replace(going, title="<b>Pets</b>"), run("queued"), run("queued")])
    assert f'<button type="button" data-key="{going.id}"' in text
    assert "&lt;b&gt;Pets&lt;/b&gt;" in text
    assert "20% · about 3 min left" in text
    assert "2 waiting" in text


def test_where_nothing_trains_or_waits_there_is_no_line() -> None:
    assert job_strip([]) == ""
    assert strip_update([]).visible is False


def test_a_click_on_a_run_watches_it(running_app: RunningApp) -> None:
    (event,) = [one for one in running_app.demo.fns.values() if one.fn and one.fn.__name__ == "watch"]
    (trained,) = running_app.service.registry.runs.list()

    def click(run_id: str) -> list[Any]:
        return event.fn(gr.EventData(None, {"run": run_id}), request())

    tabs, watched, *shown = click(trained.id)
    assert (tabs.selected, watched) == ("train", trained.id)
    assert "Colours" in str(shown)
    with pytest.raises(gr.Error, match="no run"):
        click("of another registry")
