"""Buttons of one tab lead to another tab."""

from __future__ import annotations

import gradio as gr
import pytest

from loravit_web.ui.kit.events import Updates
from tests.ui.catalog.catalog_page import request
from tests.ui.conftest import RunningApp


def test_a_click_on_a_run_watches_it(running_app: RunningApp) -> None:
    event, of_the_list = [
        one for one in running_app.demo.fns.values() if one.fn and one.fn.__name__ == "watch"
    ]
    assert event.fn is of_the_list.fn
    (trained,) = running_app.service.registry.runs.list()

    def click(run_id: str) -> Updates:
        updates: Updates = event.fn(gr.EventData(None, {"run": run_id}), request())
        return updates

    shown = click(trained.id)
    assert [one.selected for one in shown.values() if isinstance(one, gr.Tabs)] == ["train"]
    assert trained.id in shown.values()
    assert any("Colours" in str(one) for one in shown.values())
    with pytest.raises(gr.Error, match="no run"):
        click("of another registry")
