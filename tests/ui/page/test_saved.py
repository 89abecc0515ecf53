"""The page says how well the registry is saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import gradio as gr
import pytest

from loravit_web.saver import Saved
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.ui.page.saved import add_saved, saved_line
from registry import utc_now

THEN = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


@pytest.fixture
def page(settings: Settings, tmp_path: Path) -> Callable[..., tuple[Service, list[str]]]:
    """A service with other settings, and what its page says of saving at first."""

    def make(**changes: object) -> tuple[Service, list[str]]:
        service = Service(replace(settings, **changes))  # type: ignore[arg-type]  # fields by name
        with gr.Blocks() as demo:
            add_saved(demo, service)
        service.close()
        shown = [block for block in demo.blocks.values() if isinstance(block, gr.HTML)]
        return service, [str(block.value) for block in shown]

    return make


def test_nothing_is_said_on_an_own_machine(page: Callable[..., tuple[Service, list[str]]]) -> None:
    assert page()[1] == []


def test_a_disk_that_a_restart_empties_is_told(page: Callable[..., tuple[Service, list[str]]]) -> None:
    (said,) = page(ephemeral=True)[1]
    assert "lost when this Space restarts" in said


def test_the_line_is_quiet_while_all_is_well(
    page: Callable[..., tuple[Service, list[str]]], tmp_path: Path
) -> None:
    service, (said,) = page(snapshot_url=str(tmp_path / "place"), ephemeral=True)
    assert "Nothing to save yet." in said
    assert service.saver is not None
    service.saver.saved = Saved(at=utc_now())
    assert "lv-muted" in saved_line(service)
    assert "Last saved just now." in saved_line(service)


def test_a_failure_stands_out_with_its_reason(
    page: Callable[..., tuple[Service, list[str]]], tmp_path: Path
) -> None:
    service, _ = page(snapshot_url=str(tmp_path / "place"))
    assert service.saver is not None
    service.saver.saved = Saved(THEN, THEN, "the disk for snapshots is <full>")
    said = saved_line(service)
    assert "lv-warning" in said
    assert "Not saved since 2026-11-24 12:00 UTC: the disk for snapshots is &lt;full&gt;." in said
