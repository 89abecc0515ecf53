"""Links, and code that classifies an image with the same tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

IMAGE = "image.jpg"


def share_link(url: str, tasks: Sequence[str]) -> str:
    """Return a link to the tab Use with picked tasks.

    Args:
        url: URL of the app, without a query.
        tasks: Versions, such as ``flowers@2``.
    """
    return f"{url.rstrip('/')}/?tab=use&task={quote(','.join(tasks), safe='@,')}"


def card_link(url: str, ref: str) -> str:
    """Return a link to the card of a version in the catalog.

    Args:
        url: URL of the app, without a query.
        ref: Version, such as ``flowers@2``.
    """
    return f"{url.rstrip('/')}/?tab=catalog&adapter={quote(ref, safe='@')}"


def code_snippets(url: str, tasks: Sequence[str], top_k: int) -> Mapping[str, str]:
    """Return the code in each language: python, shell and javascript.

    Args:
        url: URL of the app, without a query.
        tasks: Tasks or versions.
        top_k: Number of labels per task.
    """
    address = url.rstrip("/")
    return {
        "python": _python(address, tasks, top_k),
        "shell": _shell(address, tasks, top_k),
        "javascript": _javascript(address, tasks, top_k),
    }


def _python(url: str, tasks: Sequence[str], top_k: int) -> str:
    return f"""from gradio_client import Client, handle_file

client = Client({_text(url)})
answer = client.predict(
    image=handle_file({_text(IMAGE)}),
    tasks={json.dumps(list(tasks))},
    top_k={top_k},
    api_name="/classify",
)
for result in answer["results"]:
    print(result["task"], result["error"] or result["labels"])
"""


def _shell(url: str, tasks: Sequence[str], top_k: int) -> str:
    api = f"{url}/gradio_api"
    question = json.dumps({"data": [{"path": "PATH"}, list(tasks), top_k], "session_hash": "curl"})
    body = question.replace("'", "'\\''").replace("PATH", "'\"$path\"'")
    return f"""path=$(curl -s -F 'files=@{IMAGE}' {api}/upload | cut -d'"' -f2)
curl -s {api}/run/classify -H 'Content-Type: application/json' -d '{body}'
"""


def _javascript(url: str, tasks: Sequence[str], top_k: int) -> str:
    return f"""import {{ Client }} from "https://cdn.jsdelivr.net/npm/@gradio/client/dist/index.min.js";

const client = await Client.connect({_text(url)});
const image = document.querySelector("input[type=file]").files[0];
const {{ data }} = await client.predict("/classify", {{
  image,
  tasks: {json.dumps(list(tasks))},
  top_k: {top_k},
}});
for (const result of data[0].results) console.log(result.task, result.error ?? result.labels);
"""


def _text(value: str) -> str:
    return json.dumps(value)
