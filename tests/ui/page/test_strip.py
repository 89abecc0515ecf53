"""The line above the tabs names what trains."""

from __future__ import annotations

from dataclasses import replace

from loravit_web.ui.page.strip import job_strip, strip_update
from tests.runs.test_next_steps import run


def test_each_run_that_trains_is_a_button_with_its_escaped_name_and_what_it_still_takes() -> None:
    going = run("running", stage="Epoch 2 of 27", progress=0.2, eta_seconds=200.0)
    text = job_strip([replace(going, title="<b>Pets</b>"), run("queued"), run("queued")])
    assert f'<button type="button" data-key="{going.id}"' in text
    assert "&lt;b&gt;Pets&lt;/b&gt;" in text
    assert "20% · about 3 min left" in text
    assert "2 queued" in text


def test_where_nothing_trains_or_waits_there_is_no_line() -> None:
    assert job_strip([]) == ""
    assert strip_update([]).visible is False
