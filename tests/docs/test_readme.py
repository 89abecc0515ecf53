"""The README stays short."""

from __future__ import annotations

from tests.docs.markdown import README, blocks_of, text_of

MOST_LINES, MOST_WORDS = 150, 1100


def test_the_readme_is_read_in_five_minutes() -> None:
    text = text_of(README)
    assert len(text.splitlines()) <= MOST_LINES
    assert len(text.split()) <= MOST_WORDS


def test_the_readme_begins_with_the_two_commands() -> None:
    commands = [block.code for block in blocks_of(README, "bash")]
    assert commands == [
        "pip install -r requirements.txt && python app.py\n",
        "pip install -r requirements-dev.txt && pytest\n",
    ]
