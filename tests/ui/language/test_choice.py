"""The language in which a request is answered."""

from __future__ import annotations

import pytest

from loravit_web.ui.language.choice import language_of, preferred


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("DE-ch", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("fr,de;q=0.4,en;q=0.8", "en"),
        ("fr,it;q=0.9", "en"),
        ("fr, de ; q=0.3", "de"),
        ("de;q=0,en;q=0.1", "en"),
        ("de;q=0", "en"),
        ("de;q=high", "en"),
        ("de;q=nan,en;q=0.1", "en"),
        ("de;level=1", "de"),
        (",;,=;q", "en"),
        ("*", "en"),
    ],
)
def test_a_browser_prefers_a_language(accepted: str, language: str) -> None:
    assert preferred(accepted) == language


def test_the_address_comes_before_the_browser() -> None:
    german = {"accept-language": "de"}
    assert language_of({"lang": "en"}, german) == "en"
    assert language_of({"lang": "de"}, {}) == "de"
    assert language_of({"lang": "xx"}, german) == "de"
    assert language_of({}, {}) == "en"
