"""Texts of the page in the current language."""

from __future__ import annotations

import pytest

from loravit_web.ui.language.texts import LANGUAGES, _, current_language, ngettext, numeral, speak, speaking
from loravit_web.ui.language.words import split_name, status_name
from loravit_web.ui.templates import environment


def test_a_text_is_english_unless_another_language_is_spoken() -> None:
    assert (_("Start training"), current_language()) == ("Start training", "en")
    with speaking("de"):
        assert (_("Start training"), current_language()) == ("Training starten", "de")
    assert _("Start training") == "Start training"


def test_a_text_without_a_translation_stays_english() -> None:
    with speaking("de"):
        assert _("Nobody translated {this}.", this="that") == "Nobody translated that."


@pytest.mark.parametrize(
    ("language", "n", "text"),
    [
        ("en", 1, "1 image"),
        ("en", 1234, "1,234 images"),
        ("de", 1, "1 Bild"),
        ("de", 1234, "1.234 Bilder"),
    ],
)
def test_a_number_has_its_noun(language: str, n: int, text: str) -> None:
    with speaking(language):
        assert ngettext("{n} image", "{n} images", n) == text


@pytest.mark.parametrize(
    ("value", "form", "english", "german"),
    [
        (1234567, ",", "1,234,567", "1.234.567"),
        (0.8126, ".1%", "81.3%", "81,3\N{NO-BREAK SPACE}%"),
        (1234.5, ",.1f", "1,234.5", "1.234,5"),
        (-2.25, "+.1f", "-2.2", "-2,2"),
    ],
)
def test_a_number_has_the_separators_of_its_language(
    value: float, form: str, english: str, german: str
) -> None:
    assert numeral(value, form) == english
    with speaking("de"):
        assert numeral(value, form) == german


def test_the_width_of_a_bar_is_the_same_in_each_language() -> None:
    template = environment().from_string("{{ share | percent }} {{ share | width }} {{ 1.2 | width }}")
    with speaking("de"):
        assert template.render(share=0.125) == "12,5\N{NO-BREAK SPACE}% 12.5% 100.0%"


def test_values_are_never_taken_for_placeholders() -> None:
    assert _("“{title}” is here.", title="{0.__class__}") == "“{0.__class__}” is here."


def test_a_template_escapes_values_and_speaks_the_same_language() -> None:
    template = environment().from_string('<p>{{ _("Watch {title}", title="<b>") }}</p>')
    assert template.render() == "<p>Watch &lt;b&gt;</p>"
    with speaking("de"):
        assert template.render() == "<p>&lt;b&gt; verfolgen</p>"


def test_words_of_the_registry_have_names_in_each_language() -> None:
    with speaking("de"):
        assert (split_name("validation"), status_name("failed")) == ("Validierung", "fehlgeschlagen")
    assert (split_name("elsewhere"), status_name("failed")) == ("elsewhere", "failed")


def test_speaking_lasts_until_another_language_is_spoken() -> None:
    with speaking("en"):
        for language in LANGUAGES:
            speak(language)
            assert current_language() == language
    assert current_language() == "en"
