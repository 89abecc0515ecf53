"""Links and code that can be pasted as they are."""

from __future__ import annotations

import ast
import json
import re
from urllib.parse import parse_qs, urlsplit

from loravit_web.ui.kit.snippets import card_link, code_snippets, share_link

URL = "http://127.0.0.1:7860/"
ODD = """a"b'c"""


def test_a_link_names_the_exact_versions() -> None:
    query = parse_qs(urlsplit(share_link(URL, ["flowers@2", "pets@1"])).query)
    assert query == {"tab": ["use"], "task": ["flowers@2,pets@1"]}


def test_the_link_of_a_card_names_its_version() -> None:
    query = parse_qs(urlsplit(card_link(URL, "flowers@2")).query)
    assert query == {"tab": ["catalog"], "adapter": ["flowers@2"]}


def test_the_python_code_is_python_that_asks_these_tasks() -> None:
    tree = ast.parse(code_snippets(URL, ["flowers", ODD], 3)["python"])
    lists = [ast.literal_eval(node) for node in ast.walk(tree) if isinstance(node, ast.List)]
    assert lists == [["flowers", ODD]]


def test_the_shell_code_sends_json_whatever_a_task_is_called() -> None:
    shell = code_snippets(URL, ["flowers", ODD], 3)["shell"]
    body = re.search(r"-d '(.*)'\n", shell)
    assert body is not None
    sent = body[1].replace("'\"$path\"'", "/tmp/x").replace("'\\''", "'")
    assert json.loads(sent) == {
        "data": [{"path": "/tmp/x"}, ["flowers", ODD], 3],
        "session_hash": "curl",
    }
