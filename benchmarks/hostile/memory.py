"""Bodies, images and archives that cost much more than they weigh, sent to an app held to 4 GB."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import chain, count

from benchmarks.hostile import bodies as bodies
from benchmarks.hostile.app import Place, Running
from benchmarks.hostile.attack import API, ASKERS, Case, Load, address, suffered
from benchmarks.hostile.visitors import Guest, Person, Send, chunked, exchange, head, noise, slowly
from benchmarks.support.report import Figure

_FORM = "application/x-www-form-urlencoded"


def measure(place: Place, ports: Callable[[], int], load: Load, chosen: str = "") -> list[Figure]:
    """One row for each case whose name holds a text, printed as it comes."""
    return suffered(place, ports, load, [case for case in MEMORY if chosen in case.name])


def _posted(
    app: Running, path: str, body: Callable[[int], bytes], kind: str = "application/json", *, form: str = ""
) -> Send:
    """POST a body of each asker to a path.

    Args:
        form: "chunked" to leave the length out, "understated" to declare a small one.
    """

    def send(number: int, until: float) -> str:
        data = body(number)
        fields = [f"Content-Type: {kind}"]
        if form == "chunked":
            fields.append("Transfer-Encoding: chunked")
            pieces: Iterator[bytes] = chunked(data)
        else:
            fields.append(f"Content-Length: {100 if form else len(data)}")
            pieces = iter([data])
        start = head("POST", path, address(number), *fields)
        return exchange(app.port, chain([start], pieces), until)

    return send


def _json(path: str, *, form: str = "") -> Callable[[Running, Load], Send]:
    def make(app: Running, load: Load) -> Send:
        kinds = bodies.nested_lists, bodies.flat_numbers, bodies.deep_lists
        called = _number_of_classify(app)
        made = [bodies.question(kind(load.body), called) for kind in kinds]
        return _posted(app, path, lambda number: made[number % len(made)], form=form)

    return make


def _number_of_classify(app: Running) -> int:
    """Number of the event ``classify``; none where the page is not shown before sign-in."""
    config = Person(app.url, "192.0.2.9").client.get("/config").json()
    called = [one["id"] for one in config.get("dependencies", []) if one["api_name"] == "classify"]
    return int(called[0]) if called else 0


def _slow(app: Running, _load: Load) -> Send:
    start = partial(head, "POST", f"{API}/run/classify")
    fields = "Content-Type: application/json", "Content-Length: 100000"
    return lambda number, until: exchange(app.port, slowly(start(address(number), *fields), until), until)


def _silent(app: Running, load: Load) -> Send:
    def send(_number: int, until: float) -> str:
        with ExitStack() as opened:
            for _ in range(10):
                opened.enter_context(socket.create_connection(("127.0.0.1", app.port), timeout=10))
            time.sleep(max(0.0, min(load.seconds, until - time.monotonic())))
        return "opened and said nothing"

    return send


def _images(images: Callable[[], Mapping[str, bytes]]) -> Callable[[Running, Load], Send]:
    """Upload an image and ask about it; each asker has one of them."""

    def make(app: Running, load: Load) -> Send:
        named = list(images().items())

        def send(number: int, _until: float) -> str:
            person = Person(app.url, address(number), timeout=load.bound)
            try:
                answer = person.classify(person.upload(*named[number % len(named)]), ["task-0"])
                return "answered" if answer["results"][0]["error"] is None else "refused"
            finally:
                person.close()

        return send

    return make


def _archive(
    archive: Callable[[], bytes], element: str, event: str, **given: object
) -> Callable[[Running, Load], Send]:
    """Upload a zip and use it in an event of the page."""

    def make(app: Running, load: Load) -> Send:
        data = archive()
        guests = [Guest(app.url, address(n), seconds=load.bound) for n in range(ASKERS)]

        def send(number: int, _until: float) -> str:
            guest = guests[number]
            file = guest.upload("hostile.zip", data)
            values = {key: [file] if value is list else value for key, value in given.items()}
            one = {element: file} if event == "upload" else {}
            reply = guest.press(element, event, {**values, **one})
            return "answered" if reply.error is None else reply.error[:40] or "failed"

        return send

    return make


def _bundle(app: Running, load: Load) -> Send:
    """The same as a bundle of an adapter, by an editor."""
    data = bodies.table_of_contents_zip()
    editor = Person(app.url, address(0))
    assert editor.sign_in("ed") == 200
    cookies = dict(editor.client.cookies)

    def send(number: int, _until: float) -> str:
        guest = Guest(app.url, address(number), seconds=load.bound, cookies=cookies)
        file = guest.upload("bundle.zip", data)
        reply = guest.press("catalog-import", "upload", {"catalog-import": file, "catalog-search": ""})
        return "answered" if reply.error is None else reply.error[:40] or "failed"

    return send


def _long_sessions(app: Running, load: Load) -> Send:
    # made before the honest visitor is timed, because writing JSON keeps that thread from running
    rest = b"x" * load.text + b'"}'
    numbers = count()

    def send(number: int, until: float) -> str:
        data = b'{"data": [null, ["task-0"], 3], "session_hash": "%d' % next(numbers) + rest
        return _posted(app, f"{API}/run/classify", lambda _: data)(number, until)

    return send


def _long_names(app: Running, load: Load) -> Send:
    numbers = count()

    def send(number: int, until: float) -> str:
        data = b"password=x&username=%d" % next(numbers) + b"x" * load.text
        return _posted(app, "/login", lambda _: data, _FORM)(number, until)

    return send


def _made_up_runs(app: Running, load: Load) -> Send:
    """20,000 ids of runs in every event that takes one text, as a page tells which runs have ended."""
    text = json.dumps({"ended": [f"{number:032x}" for number in range(20_000)], "nonce": "x"})
    guests = [Guest(app.url, address(n), seconds=load.bound) for n in range(ASKERS)]
    kinds = {one["id"]: one["type"] for one in guests[0].config["components"]}
    takes_text = [
        call["id"]
        for call in guests[0].config["dependencies"]
        if call["backend_fn"] and [kinds.get(given) for given in call["inputs"]] == ["textbox"]
    ]

    def send(number: int, _until: float) -> str:
        replies = [guests[number].call(called, [text]) for called in takes_text]
        return "answered" if all(reply.error is None for reply in replies) else "refused"

    return send


def _made_up_tasks(app: Running, load: Load) -> Send:
    tasks = [f"made-up-{number}" for number in range(20_000)]
    image = noise(0)

    def send(number: int, _until: float) -> str:
        person = Person(app.url, address(number), timeout=load.bound)
        try:
            person.classify(person.upload("p.png", image), tasks)
            return "answered"
        finally:
            person.close()

    return send


def _cookies(app: Running, _load: Load) -> Send:
    fields = [f"Cookie: c{number}={'x' * 8000}" for number in range(100)]
    return lambda number, until: exchange(app.port, [head("GET", "/config", address(number), *fields)], until)


def _queries(app: Running, _load: Load) -> Send:
    path = f"{API}/queue/data?session_hash={'x' * 16_000}"
    return lambda number, until: exchange(app.port, [head("GET", path, address(number))], until)


ROUTES = (f"{API}/run/classify", f"{API}/queue/join", f"{API}/call/classify", "/login")
MEMORY = (
    *(Case(f"JSON of 100 MB to {path}", _json(path)) for path in ROUTES),
    Case("the same before sign-in", _json(ROUTES[0]), "team"),
    Case("the same to the sign-in", _json(ROUTES[3]), "team"),
    Case("the same without a length", _json(ROUTES[0], form="chunked")),
    Case("the same of 100 bytes, as it says", _json(ROUTES[0], form="understated")),
    Case("bodies of a byte a second", _slow),
    Case("connections that say nothing", _silent),
    Case("PNG of 49,000,000 x 1", _images(lambda: {"wide.png": bodies.wide_png()})),
    Case("PNG of 1 x 49,000,000", _images(lambda: {"tall.png": bodies.tall_png()})),
    Case("flat PNGs of 50 megapixels", _images(bodies.flat_images)),
    Case("progressive JPEG and animated GIF of 50 megapixels", _images(bodies.coded_images)),
    Case(
        "a table of such images",
        _archive(
            bodies.extreme_zip,
            "use-many-go",
            "click",
            **{"use-many-files": list, "use-tasks": ["task-0"]},
        ),
    ),
    Case("training images of such shapes", _archive(bodies.extreme_zip, "train-upload", "upload")),
    Case(
        "a table of a zip of a million entries",
        _archive(
            bodies.table_of_contents_zip,
            "use-many-go",
            "click",
            **{"use-many-files": list, "use-tasks": ["task-0"]},
        ),
        times=1,
    ),
    Case(
        "training images in such a zip",
        _archive(bodies.table_of_contents_zip, "train-upload", "upload"),
        times=1,
    ),
    Case("a bundle that is such a zip", _bundle, "team", times=1),
    Case("session_hash of 20 MB, 20 of them", _long_sessions, times=2),
    Case("sign-in names of 20 MB, 20 of them", _long_names, "team", times=2),
    Case("20,000 made-up runs in one event", _made_up_runs, times=1),
    Case("20,000 made-up tasks in one question", _made_up_tasks, times=1),
    Case("100 cookies of 8 kB", _cookies),
    Case("query strings of 16 kB", _queries),
)
