"""What people, or worse, call their adapters: each name with its slug and title, or why it is refused."""

from __future__ import annotations

from dataclasses import dataclass

from loravit_web.catalog.naming import UnusableName
from tests.corpus.answers import Refused


@dataclass(frozen=True)
class Named:
    """The slug and the title that come of a name."""

    slug: str
    title: str


@dataclass(frozen=True)
class NameEntry:
    """A name as it was typed."""

    name: str
    text: str
    answer: Named | Refused


NO_LETTER = Refused(UnusableName, "at least one letter or digit")
TOO_LONG = Refused(UnusableName, "over the limit of 120. Shorten it")

# fmt: off
NAMES: tuple[NameEntry, ...] = (
    NameEntry("plain", "My flowers", Named("my-flowers", "My flowers")),
    NameEntry("a script", "<script>alert(1)</script>", Named("script-alert-1-script", "<script>alert(1)</script>")),
    NameEntry("an image that runs", '"><img src=x onerror=alert(1)>', Named("img-src-x-onerror-alert-1", '"><img src=x onerror=alert(1)>')),
    NameEntry("an attribute that runs", "' autofocus onfocus='alert(1)", Named("autofocus-onfocus-alert-1", "' autofocus onfocus='alert(1)")),
    NameEntry("a link that runs", "[x](javascript:alert(1))", Named("x-javascript-alert-1", "[x](javascript:alert(1))")),
    NameEntry("a template of JavaScript", "${alert(1)}", Named("alert-1", "${alert(1)}")),
    NameEntry("a template of Jinja", "{{7*7}}{% import os %}", Named("7-7-import-os", "{{7*7}}{% import os %}")),
    NameEntry("a format string", "{0.__class__.__init__.__globals__} %s%n", Named("0-class-init-globals-s-n", "{0.__class__.__init__.__globals__} %s%n")),
    NameEntry("SQL", "Robert'); DROP TABLE adapters;--", Named("robert-drop-table-adapters", "Robert'); DROP TABLE adapters;--")),
    NameEntry("wildcards of SQL", "100%_", Named("100", "100%_")),
    NameEntry("a query of full-text search", 'NEAR("a" OR *) AND -b', Named("near-a-or-and-b", 'NEAR("a" OR *) AND -b')),
    NameEntry("traversal", "../../etc/shadow", Named("etc-shadow", "../../etc/shadow")),
    NameEntry("traversal, encoded", "%2e%2e%2fetc", Named("2e-2e-2fetc", "%2e%2e%2fetc")),
    NameEntry("a path of Windows", "C:\\Windows\\System32", Named("c-windows-system32", "C:\\Windows\\System32")),
    NameEntry("a device of Windows", "CON", Named("con", "CON")),
    NameEntry("a command", "$(rm -rf ~) `id` ; ls | sh", Named("rm-rf-id-ls-sh", "$(rm -rf ~) `id` ; ls | sh")),
    NameEntry("an option", "--help", Named("help", "--help")),
    NameEntry("a formula", "=cmd|' /C calc'!A0", Named("cmd-c-calc-a0", "=cmd|' /C calc'!A0")),
    NameEntry("a version", "flowers@3", Named("flowers-3", "flowers@3")),
    NameEntry("emoji", "🌷 flowers 🌷", Named("flowers", "🌷 flowers 🌷")),
    NameEntry("a family of emoji", "👩‍👩‍👧‍👦 1", Named("1", "👩‍👩‍👧‍👦 1")),
    NameEntry("accents", "Café Zoë", Named("cafe-zoe", "Café Zoë")),
    NameEntry("accents, taken apart", "Cafe\u0301", Named("cafe", "Café")),
    NameEntry("Chinese", "花", Named("hua", "花")),
    NameEntry("Arabic", "قطة", Named("qt", "قطة")),
    NameEntry("Greek", "Λουλούδια", Named("louloudia", "Λουλούδια")),
    NameEntry("an entity of HTML", "&#65; &amp;", Named("65-amp", "&#65; &amp;")),
    NameEntry("wide letters", "ＣＡＴ", Named("cat", "ＣＡＴ")),
    NameEntry("letters that look like others", "сat1", Named("sat1", "сat1")),
    NameEntry("a NUL and a bell", "fl\0ow\x07ers", Named("flowers", "Flowers")),
    NameEntry("colours of a terminal", "\x1b[31mred\x1b[0m", Named("31mred-0m", "[31mred[0m")),
    NameEntry("a line that turns around", "abc\u202egpj.exe", Named("abcgpj-exe", "abcgpj.exe")),
    NameEntry("half a surrogate", "cat \ud83d", Named("cat", "Cat")),
    NameEntry("several lines", "a\r\nSet-Cookie: x\n\tb", Named("a-set-cookie-x-b", "a Set-Cookie: x b")),
    NameEntry("a tower of accents", "Z" + "\u0300" * 100, Named("z", "Z" + "\u0300" * 100)),
    NameEntry("120 characters", "a " * 60, Named(("a-" * 32)[:63], ("a " * 60).strip())),
    NameEntry("300 characters", "x" * 300, TOO_LONG),
    NameEntry("a million characters", "x" * 1_000_000, TOO_LONG),
    NameEntry("nothing", "", NO_LETTER),
    NameEntry("spaces", " \t\n", NO_LETTER),
    NameEntry("dots", "...", NO_LETTER),
    NameEntry("only emoji", "🔥🔥", NO_LETTER),
    NameEntry("only what can't be seen", "\u200b\u202e\0", NO_LETTER),
)
