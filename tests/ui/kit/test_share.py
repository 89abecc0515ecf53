"""What leads others to the picked tasks."""

from __future__ import annotations

import pytest

from loravit_web.ui.kit.share import qr_code

LINK = "https://team.example/?tab=use&task=flowers@2"


def test_a_link_has_a_code_for_phones() -> None:
    drawn = qr_code(LINK)
    assert drawn.count("<svg") == 1
    assert LINK.replace("&", "&amp;") in drawn
    assert qr_code(LINK.replace("2", "3")) != drawn


def test_what_a_link_contains_is_text_in_its_code() -> None:
    assert "<script" not in qr_code("https://team.example/?task=</title><script>alert(1)</script>")


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:7860", "[::1]:7860"])
def test_a_link_that_no_phone_reaches_has_no_code(host: str) -> None:
    shown = qr_code(f"http://{host}/?tab=use&task=flowers@2")
    assert "<svg" not in shown
    assert "works only on this machine" in shown


def test_without_a_task_there_is_nothing_to_scan() -> None:
    assert "Pick a task first" in qr_code("")
