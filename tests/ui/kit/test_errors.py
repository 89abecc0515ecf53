"""Toasts draw HTML, so what a user typed arrives in them as text."""

from __future__ import annotations

import gradio as gr
import pytest

from loravit_web.errors import LoraVitError
from loravit_web.ui.kit.errors import plain, told


def test_an_error_that_quotes_a_user_is_text_in_its_toast() -> None:
    @told
    def handler() -> None:
        raise LoraVitError("There is no “<img src=x onerror=alert(1)>” & no 'other' here.")

    with pytest.raises(gr.Error) as raised:
        handler()
    assert "&lt;img src=x onerror=alert(1)&gt;” &amp; no 'other'" in raised.value.message
    assert "<img" not in raised.value.message


def test_what_nobody_can_mistake_for_html_stays_as_it_is() -> None:
    assert plain("It's “here”: 5 of 6.") == "It's “here”: 5 of 6."
