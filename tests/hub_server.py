"""As much of the Hub's HTTP interface as pushing and pulling an adapter takes, on loopback."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]
TOKEN = "hf_good"


@dataclass
class Repository:
    """Commits by hash, each with all its files, and branches by name."""

    private: bool = False
    gated: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: Files, branch: str = "main", message: str = "") -> str:
        sha = hashlib.sha1(f"{len(self.commits)}{branch}".encode()).hexdigest()
        self.commits[sha], self.branches[branch] = files, sha
        self.messages.append(message)
        return sha

    def files(self, branch: str = "main") -> Files:
        return self.commits[self.branches[branch]]


class FakeHub:
    """The Hub's state; `port` answers until `close`."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        self.bad_yaml = ""
        self.refuses_writes = False
        self.lies_about_sizes: int | None = None
        self.uploaded: Files = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def add(self, name: str, files: Files, **about: Any) -> Repository:
        repository = self.repositories[name] = Repository(**about)
        repository.commit(files)
        return repository


class _Answer(Exception):
    def __init__(self, status: int, body: Any = None, **headers: str) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers


def _missing(code: str, status: int = 404) -> _Answer:
    return _Answer(status, {"error": code}, **{"X-Error-Code": code, "X-Error-Message": code})


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                for method, pattern, act in ROUTES:
                    found = re.fullmatch(pattern, path)
                    if method == self.command and found:
                        act(
                            hub,
                            self.headers.get("Authorization") == f"Bearer {TOKEN}",
                            sent,
                            **found.groupdict(),
                        )
                raise _Answer(404)
            except _Answer as answer:
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for key, value in {"Content-Length": str(len(body)), **answer.headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - http.server's own names

    return Handler


def _seen(hub: FakeHub, name: str, known: bool) -> Repository:
    repository = hub.repositories.get(name)
    if repository is None or (repository.private and not known):
        raise _missing("RepoNotFound", 404 if known else 401)
    return repository


def _at(repository: Repository, revision: str) -> tuple[str, Files]:
    sha = repository.branches.get(revision, revision)
    if sha not in repository.commits:
        raise _missing("RevisionNotFound")
    return sha, repository.commits[sha]


def _writable(hub: FakeHub, known: bool) -> None:
    if not known:
        raise _Answer(
            401,
            {"error": "Invalid token"},
            **{"X-Error-Message": "Invalid credentials in Authorization header"},
        )
    if hub.refuses_writes:
        raise _Answer(403, {"error": "Forbidden"})


def create(hub: FakeHub, known: bool, sent: bytes) -> None:
    _writable(hub, known)
    asked = json.loads(sent)
    name = f"{asked.get('organization') or 'me'}/{asked['name']}"
    url = {"url": f"{hub.url}/{name}"}
    if name in hub.repositories:
        raise _Answer(409, url)
    private = asked.get("visibility") == "private" or bool(asked.get("private"))
    hub.add(name, {".gitattributes": b""}, private=private)
    raise _Answer(200, url)


def info(hub: FakeHub, known: bool, sent: bytes, name: str, revision: str = "main") -> None:
    repository = _seen(hub, name, known)
    sha, files = _at(repository, revision)
    siblings = [
        {"rfilename": path, "size": hub.lies_about_sizes or len(data), "blobId": "0" * 40}
        for path, data in files.items()
    ]
    raise _Answer(
        200, {"id": name, "sha": sha, "private": repository.private, "siblings": siblings, "tags": []}
    )


def branch(hub: FakeHub, known: bool, sent: bytes, name: str, branch: str) -> None:
    _writable(hub, known)
    repository = _seen(hub, name, known)
    if branch in repository.branches:
        raise _Answer(409, {"error": "exists"})
    repository.branches[branch] = repository.branches["main"]
    raise _Answer(200, {})


def validate(hub: FakeHub, known: bool, sent: bytes) -> None:
    if hub.bad_yaml:
        raise _Answer(400, {"errors": [{"message": hub.bad_yaml}], "warnings": []})
    raise _Answer(200, {"errors": [], "warnings": []})


def preupload(hub: FakeHub, known: bool, sent: bytes, name: str, revision: str) -> None:
    _writable(hub, known)
    _at(_seen(hub, name, known), revision)
    modes = [
        {
            "path": file["path"],
            "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
            "shouldIgnore": False,
        }
        for file in json.loads(sent)["files"]
    ]
    raise _Answer(200, {"files": modes})


def batch(hub: FakeHub, known: bool, sent: bytes, name: str) -> None:
    objects = [
        {**one, "actions": {"upload": {"href": f"{hub.url}/lfs/{one['oid']}"}}}
        for one in json.loads(sent)["objects"]
    ]
    raise _Answer(200, {"transfer": "basic", "objects": objects})


def upload(hub: FakeHub, known: bool, sent: bytes, oid: str) -> None:
    if hashlib.sha256(sent).hexdigest() != oid:
        raise _Answer(400)
    hub.uploaded[oid] = sent
    raise _Answer(200)


def commit(hub: FakeHub, known: bool, sent: bytes, name: str, revision: str) -> None:
    _writable(hub, known)
    repository = _seen(hub, name, known)
    sha, files = _at(repository, revision)
    header, *changes = [json.loads(line) for line in sent.splitlines()]
    if header["value"].get("parentCommit") not in (None, sha):
        raise _Answer(412, {"error": "A commit has happened since. Please refresh and try again."})
    files = dict(files)
    for change in changes:
        value = change["value"]
        if change["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif change["key"] == "lfsFile":
            files[value["path"]] = hub.uploaded[value["oid"]]
        elif change["key"] == "deletedFile":
            del files[value["path"]]
    oid = repository.commit(files, revision, header["value"]["summary"])
    raise _Answer(200, {"commitUrl": f"{hub.url}/{name}/commit/{oid}", "commitOid": oid, "hookOutput": ""})


def resolve(hub: FakeHub, known: bool, sent: bytes, name: str, revision: str, path: str) -> None:
    repository = _seen(hub, name, known)
    sha, files = _at(repository, revision)
    if repository.gated:
        raise _missing("GatedRepo", 403)
    if path not in files:
        raise _missing("EntryNotFound")
    etag = f'"{hashlib.sha1(files[path]).hexdigest()}"'
    raise _Answer(200, files[path], **{"X-Repo-Commit": sha, "ETag": etag})


NAME = r"(?P<name>[^/]+/[^/]+)"
ROUTES = [
    ("POST", "/api/repos/create", create),
    ("POST", "/api/validate-yaml", validate),
    ("GET", f"/api/models/{NAME}", info),
    ("GET", f"/api/models/{NAME}/revision/(?P<revision>.+)", info),
    ("POST", f"/api/models/{NAME}/branch/(?P<branch>.+)", branch),
    ("POST", f"/api/models/{NAME}/preupload/(?P<revision>.+)", preupload),
    ("POST", f"/api/models/{NAME}/commit/(?P<revision>.+)", commit),
    ("POST", f"/{NAME}.git/info/lfs/objects/batch", batch),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]+)", upload),
    ("HEAD", f"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", resolve),
    ("GET", f"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", resolve),
]
