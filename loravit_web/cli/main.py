"""The shell: ``python -m loravit_web``.

With ``--json`` a command puts exactly one JSON document on stdout; progress goes to stderr. Exit status
0: done; 1: ``error: one sentence`` on stderr; 2: the words of the command can't be understood.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from loravit_web.adapters.config import TARGETS
from loravit_web.adapters.types import ADAPTER_TYPES
from loravit_web.backbones.base import POOLINGS
from loravit_web.cli import adapters as catalog_commands
from loravit_web.cli import browse, commands
from loravit_web.cli import users as user_commands
from loravit_web.errors import LoraVitError
from loravit_web.settings.environment import Settings, read_settings
from loravit_web.training.recipe import PRESETS
from registry import AdapterSort, AdapterStatus, RegistryError, Role, RunStatus

Command = Callable[[argparse.Namespace, Settings], int]

ADAPTER_STATUSES, ADAPTER_SORTS, RUN_STATUSES, ROLES = map(
    get_args, (AdapterStatus, AdapterSort, RunStatus, Role)
)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("httpx", "alembic", "timm"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        command: Command = options.command
        return command(options, read_settings(os.environ))
    except (LoraVitError, RegistryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: Stopped.", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m loravit_web", description=__doc__)
    words = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(words)
    _add_predict(words)
    _add_adapters(words)
    _add_runs(words)
    _add_compare(words)
    _add_users(words)
    serve = _command(words, "serve", commands.serve, "start the web app, the same as python app.py")
    serve.add_argument("--host", default=None, help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, default=None, help="port (default: the first free one from 7860)")
    worker = _command(words, "worker", commands.worker, "run queued trainings in this process")
    worker.add_argument("--idle-exit", type=float, metavar="SECONDS", help="end after so long without a run")
    backup = _command(words, "backup", commands.backup, "write the whole registry into one file")
    backup.add_argument("file", type=Path, metavar="FILE")
    _json_flag(backup)
    restore = _command(words, "restore", commands.restore, "bring a backup back")
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument(
        "--replace", action="store_true", help="in the place of what is there, which is kept as a backup"
    )
    _json_flag(restore)
    doctor = _command(words, "doctor", commands.doctor, "what is installed, where data lies, what is wrong")
    doctor.add_argument("--mend", action="store_true", help="put right what can safely be put right")
    _json_flag(doctor)
    return parser


def _add_train(words: Any) -> None:
    train = _command(words, "train", commands.train, "train an adapter in this process")
    train.add_argument(
        "data",
        metavar="DATA",
        help="a folder or zip of class folders, a CSV, sample:NAME, or dataset:FINGERPRINT for a stored one",
    )
    train.add_argument("--name", required=True, metavar="SLUG", help="the adapter to publish")
    train.add_argument("--preset", choices=list(PRESETS), default="quick")
    train.add_argument("--base", metavar="ID", help="embedded, or a timm model name")
    _add_recipe(train)
    _json_flag(train)


def _add_recipe(train: Any) -> None:
    """What differs from the preset."""
    switch = argparse.BooleanOptionalAction
    train.add_argument("--image-size", type=int, metavar="N", help="side of the input in pixels")
    train.add_argument("--blocks", type=int, metavar="N", help="adapt the last N blocks")
    train.add_argument("--targets", metavar="LIST", help=f"comma-separated, from {','.join(TARGETS)}")
    train.add_argument("--adapter-type", choices=list(ADAPTER_TYPES))
    train.add_argument("--rank", type=int, metavar="N")
    train.add_argument("--alpha", type=float, metavar="A")
    train.add_argument("--dropout", type=float, metavar="P")
    train.add_argument("--rslora", action=switch, help="scale by alpha / sqrt(rank)")
    train.add_argument("--pooling", choices=list(POOLINGS), help="what the head reads")
    train.add_argument("--prefix-length", type=int, metavar="N", help="learned keys and values per block")
    train.add_argument("--epochs", type=int, metavar="N", help="exactly so many at most")
    train.add_argument("--min-steps", type=int, metavar="N", help="small data gets more epochs up to here")
    train.add_argument("--batch-size", type=int, metavar="N")
    train.add_argument("--lr", type=float, metavar="F")
    train.add_argument("--weight-decay", type=float, metavar="F")
    train.add_argument("--label-smoothing", type=float, metavar="F")
    train.add_argument("--max-images", type=int, metavar="N", help="train on a subset; 0 for all images")
    train.add_argument(
        "--validation-fraction", type=float, metavar="F", help="held out of the training images"
    )
    train.add_argument("--patience", type=int, metavar="N", help="epochs without progress before stopping")
    train.add_argument("--clip", type=float, metavar="F", help="largest norm of the gradients")
    train.add_argument("--seed", type=int, metavar="N")
    train.add_argument("--mirror", action=switch, help="train on mirrored images too (not text, digits)")


def _add_predict(words: Any) -> None:
    predict = _command(words, "predict", commands.predict, "classify images")
    predict.add_argument("images", nargs="+", metavar="IMAGE", type=Path)
    predict.add_argument("--task", action="append", required=True, metavar="SLUG[@V|@ALIAS]", dest="tasks")
    predict.add_argument("--top-k", type=int, default=5, metavar="N")
    shape = predict.add_mutually_exclusive_group()
    _json_flag(shape)
    shape.add_argument("--csv", type=Path, metavar="FILE", help="write one row per image, task and label")


def _add_adapters(words: Any) -> None:
    adapters = words.add_parser("adapters", help="the catalog").add_subparsers(required=True)
    _add_adapters_list(adapters)
    export = _command(adapters, "export", commands.adapters_export, "write a version as one file")
    export.add_argument("ref", metavar="SLUG[@V]")
    export.add_argument("file", type=Path)
    _json_flag(export)
    importer = _command(adapters, "import", commands.adapters_import, "publish an exported file")
    importer.add_argument("file", type=Path)
    _json_flag(importer)
    _add_hub(adapters)
    _add_aliases(adapters)
    _add_curation(adapters)


def _add_aliases(adapters: Any) -> None:
    promote = _command(adapters, "promote", catalog_commands.promote, "make an alias name a version")
    promote.add_argument("ref", metavar="SLUG@V")
    promote.add_argument("alias", metavar="ALIAS", help="such as production")
    rollback = _command(adapters, "rollback", catalog_commands.rollback, "make it name what it named before")
    rollback.add_argument("slug", metavar="SLUG")
    rollback.add_argument("alias", metavar="ALIAS")
    aliases = _command(adapters, "aliases", catalog_commands.aliases, "the aliases and their history")
    aliases.add_argument("slug", metavar="SLUG")
    change = aliases.add_mutually_exclusive_group()
    change.add_argument("--remove", metavar="ALIAS", help="take an alias away")
    change.add_argument("--protect", metavar="ALIAS", help="keep an alias where it is")
    change.add_argument("--unprotect", metavar="ALIAS", help="let an alias be moved again")
    for parser in (promote, rollback, aliases):
        parser.add_argument("--protected", action="store_true", help="even if the alias is protected")
        _json_flag(parser)


def _add_curation(adapters: Any) -> None:
    show = _command(adapters, "show", catalog_commands.show, "one adapter and its versions")
    show.add_argument("ref", metavar="SLUG[@V|@ALIAS]")
    withdraw = _command(adapters, "withdraw", catalog_commands.withdraw, "take a version out of use for good")
    withdraw.add_argument("ref", metavar="SLUG@V")
    withdraw.add_argument("--reason", required=True, metavar="TEXT", help="shown to whoever asks for it")
    tag = _command(adapters, "tag", catalog_commands.tag, "add tags, or remove them")
    tag.add_argument("slug", metavar="SLUG")
    tag.add_argument("tags", nargs="*", metavar="TAG", help="a tag to add")
    tag.add_argument(
        "--remove", action="append", default=[], metavar="TAG", help="may be given several times"
    )
    describe = _command(adapters, "describe", catalog_commands.describe, "give it a title or a description")
    describe.add_argument("slug", metavar="SLUG")
    describe.add_argument("--title", metavar="TEXT")
    describe.add_argument("--description", metavar="TEXT")
    archive = _command(adapters, "archive", catalog_commands.archive, "take an adapter out of the catalog")
    archive.add_argument("slug", metavar="SLUG")
    restore = _command(adapters, "restore", catalog_commands.restore, "put an archived adapter back")
    restore.add_argument("slug", metavar="SLUG")
    events = _command(adapters, "events", catalog_commands.events, "who changed what, newest first")
    events.add_argument("slug", nargs="?", metavar="SLUG", help="of one adapter only")
    events.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default 100)")
    for parser in (show, withdraw, tag, describe, archive, restore, events):
        _json_flag(parser)


def _add_hub(adapters: Any) -> None:
    push = _command(adapters, "push", commands.adapters_push, "put a version on the Hugging Face Hub")
    push.add_argument("ref", metavar="SLUG[@V]")
    push.add_argument("repo", metavar="REPO", help="owner/name; made where there is none")
    push.add_argument("--private", action="store_true", help="make it private; refuse one that is public")
    push.add_argument("--revision", metavar="BRANCH", help="made where there is none (default: main)")
    _json_flag(push)
    pull = _command(adapters, "pull", commands.adapters_pull, "publish an adapter of the Hugging Face Hub")
    pull.add_argument("repo", metavar="REPO[@REVISION]", help="owner/name, at a branch, tag or commit")
    pull.add_argument("--name", metavar="SLUG", help="publish it under another name")
    _json_flag(pull)


def _add_adapters_list(adapters: Any) -> None:
    listing = _command(adapters, "list", browse.adapters_list, "adapters, by name or as --sort says")
    listing.add_argument("--base", metavar="NAME", help="its name, or the SHA-256 of its weights")
    listing.add_argument("--type", choices=list(ADAPTER_TYPES))
    listing.add_argument(
        "--status",
        choices=[*ADAPTER_STATUSES, "any"],
        default="active",
        help="withdrawn: no usable version (default active)",
    )
    listing.add_argument(
        "--tag", action="append", default=[], metavar="TAG", help="may be repeated: all of them"
    )
    listing.add_argument("--alias", metavar="ALIAS", help="with a version of this alias")
    listing.add_argument("--owner", metavar="NAME")
    listing.add_argument("--min-accuracy", type=float, metavar="F", help="0 to 1")
    listing.add_argument("--sort", choices=ADAPTER_SORTS, default="name")
    _add_pages(listing, "words in its name, title, description, tags or classes")
    _json_flag(listing)


def _add_pages(listing: argparse.ArgumentParser, searched: str) -> None:
    listing.add_argument("--search", default="", metavar="TEXT", help=searched)
    listing.add_argument("--page", type=int, default=1, metavar="N")
    listing.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default 100)")


def _add_compare(words: Any) -> None:
    compare = _command(words, "compare", browse.compare, "settings that differ, and metrics side by side")
    compare.add_argument("refs", nargs="+", metavar="REF", help="SLUG, SLUG@V, or a run's id or its start")
    _json_flag(compare)


def _add_users(words: Any) -> None:
    users = words.add_parser("users", help="who may sign in to a team's app").add_subparsers(required=True)
    add = _command(users, "add", user_commands.add, "let somebody sign in, or give a new password and role")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=ROLES, default="viewer")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    role = _command(users, "role", user_commands.role, "change what somebody may do")
    role.add_argument("name", metavar="NAME")
    role.add_argument("role", choices=ROLES)
    remove = _command(users, "remove", user_commands.remove, "let nobody sign in under a name any more")
    remove.add_argument("name", metavar="NAME")
    listing = _command(users, "list", user_commands.listing, "everybody, by name")
    for parser in (add, role, remove, listing):
        _json_flag(parser)


def _add_runs(words: Any) -> None:
    runs = words.add_parser("runs", help="the history of trainings").add_subparsers(required=True)
    listing = _command(runs, "list", browse.runs_list, "the newest runs")
    listing.add_argument(
        "--status", action="append", default=[], choices=RUN_STATUSES, help="may be repeated"
    )
    listing.add_argument("--slug", metavar="SLUG", help="only trainings of this adapter")
    _add_pages(listing, "words in its id, name, title or dataset")
    _json_flag(listing)
    for name, handler, text in (
        ("show", commands.runs_show, "one run with its metrics"),
        ("cancel", commands.runs_cancel, "stop a run without publishing"),
        ("resume", commands.runs_resume, "queue an unfinished run again, to go on from its last epoch"),
        ("retry", commands.runs_retry, "queue a new run like an ended one, with a smaller batch"),
    ):
        command = _command(runs, name, handler, text)
        command.add_argument("run", help="its id, or the first characters of it")
        _json_flag(command)
        if name == "cancel":
            command.add_argument("--keep", action="store_true", help="publish the best so far")
        elif name == "retry":
            command.add_argument("--batch-size", type=int, metavar="N", help="images per step (default half)")
        elif name == "show":
            command.add_argument(
                "--points",
                type=int,
                default=1000,
                metavar="N",
                help="of each curve at most N (default 1000; 0: all)",
            )


def _command(words: Any, name: str, handler: Command, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = words.add_parser(name, help=text, description=text)
    parser.set_defaults(command=handler)
    return parser


def _json_flag(parser: Any) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")
