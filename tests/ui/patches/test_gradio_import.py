"""Gradio is imported whole, and quicker than it imports itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import sys
import loravit_web.ui
import gradio as gr
from gradio import component_meta

assert component_meta.create_or_modify_pyi.__module__ == "loravit_web.ui.patches.gradio_import"
assert [one for one in sys.meta_path if "loravit_web" in type(one).__module__] == []

class Own(gr.HTML):
    EVENTS = [gr.events.Events.click, "shaken"]

with gr.Blocks() as demo:
    Own().shaken(lambda: None)
    gr.Textbox().submit(lambda: None)
assert [event for fn in demo.fns.values() for _, event in fn.targets] == ["shaken", "submit"]
"""


def test_its_components_and_their_events_are_all_there_without_stubs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
