"""``adapters``: export and import files, push to and pull from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loravit_web.access.rights import SHELL
from loravit_web.cli.shell import AsJson, open_registry, open_service, output, write_file

if TYPE_CHECKING:
    from loravit_web.actions import Actions
    from loravit_web.service import Service

Ref = Annotated[str, typer.Argument(metavar="SLUG[@V]", help="The version, by default the newest.")]

app = typer.Typer(help="Exchange adapters.")


@app.command("export")
def export_version(
    ref: Ref,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")],
    as_json: AsJson = False,
) -> None:
    """Export a version to a file."""
    from loravit_web.catalog.exchange import exported

    with open_registry() as registry:
        version = registry.catalog.resolve(ref)
        _name, data = exported(registry, ref)
        write_file(file, data)
    document = {"adapter": version.ref, "file": str(file), "bytes": len(data)}
    output(as_json, document, lambda: f"Wrote {version.ref} to {file} ({len(data) / 1e6:.2f} MB).")


@app.command("import")
def import_version(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Exported file.")],
    as_json: AsJson = False,
) -> None:
    """Publish the version in an exported file."""
    with open_service() as service:
        version = _actions(service).import_bundle(file)
    output(as_json, {"adapter": version.ref}, lambda: f"Imported as {version.ref}.")


@app.command()
def push(
    ref: Ref,
    repo: Annotated[
        str,
        typer.Argument(metavar="REPO", help="OWNER/NAME of the repository. Created if it does not exist."),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Create a private repository. Reject a public one.")
    ] = False,
    revision: Annotated[
        str | None,
        typer.Option(metavar="BRANCH", help="Branch, by default main. Created if it does not exist."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Push a version to the Hugging Face Hub."""
    from loravit_web.catalog.exchange import thumbnail_of

    with open_service() as service:
        version = service.registry.catalog.resolve(ref)
        pushed = _actions(service).push(version.ref, repo, private=private, revision=revision)
        shows_images = thumbnail_of(service.registry, version) is not None
    document = {"adapter": version.ref, "repo": pushed.repo, "commit": pushed.commit, "url": pushed.url}
    warning = " Its thumbnail shows training images." if shows_images else ""
    output(as_json, document, lambda: f"Pushed {version.ref} to {pushed.url}.{warning}")


@app.command()
def pull(
    repo: Annotated[
        str,
        typer.Argument(
            metavar="REPO[@REVISION]", help="OWNER/NAME of the repository, at a branch, tag or commit."
        ),
    ],
    name: Annotated[
        str | None, typer.Option(metavar="SLUG", help="Publish it under this name instead of its own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish an adapter from the Hugging Face Hub."""
    repository, _at, revision = repo.partition("@")
    with open_service() as service:
        version = _actions(service).pull(repository, revision=revision or None, name=name)
    output(as_json, {"adapter": version.ref}, lambda: f"Published as {version.ref}.")


def _actions(service: Service) -> Actions:
    from loravit_web.actions import Actions

    return Actions(service, SHELL)
