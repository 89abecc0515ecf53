"""Buttons of one tab lead to another tab."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from tests.ui.catalog.catalog_page import request
from tests.ui.conftest import RunningApp


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
