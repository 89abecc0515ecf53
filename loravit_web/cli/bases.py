"""``bases``: bases in the artifact store, and those that a training can choose from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loravit_web.access.rights import SHELL
from loravit_web.catalog.hub_presence import HubPresence, is_cached
from loravit_web.catalog.offered_bases import OfferedBase, offered_bases
from loravit_web.cli.shell import (
    AsJson,
    CommandFailed,
    Document,
    current_settings,
    details,
    note,
    open_registry,
    open_service,
    output,
    refuse_together,
    table,
)
from registry import StoredBase, Triple

if TYPE_CHECKING:
    from loravit_web.backbones import Base
    from loravit_web.service import Service

WHERE = {"app": "this app", "store": "store", "cache": "hub cache", "hub": "hub"}

app = typer.Typer(help="List the bases, and store one so that no machine needs the Hugging Face Hub.")


@app.command("list")
def list_bases(as_json: AsJson = False) -> None:
    """List the bases at hand, then the recommended ones from the Hugging Face Hub."""
    with open_registry() as registry:
        bases = offered_bases(registry, current_settings().base, is_cached)
    if any(not base.is_at_hand for base in bases) and (problem := HubPresence().problem) is not None:
        note(f"{problem} Only the bases at hand can be used.")
    documents = [offered_document(base) for base in bases]
    columns = ["name", "where", "license", "megabytes", "summary"]
    output(as_json, documents, lambda: table(documents, columns, ""))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a base in the list.")],
    as_json: AsJson = False,
) -> None:
    """Show a base, and of a stored one its file and its card."""
    with open_registry() as registry:
        bases = offered_bases(registry, current_settings().base, is_cached)
        offered = next((base for base in bases if base.name == name), None)
        if offered is not None and offered.source != "store":
            document = offered_document(offered)
        else:
            stored = registry.base_files.get(name)
            document = stored_document(stored) | {
                "file": registry.blobs.where(stored.weights.sha256),
                "card": registry.base_files.card(stored),
            }
    output(as_json, document, lambda: _shown(document))


@app.command()
def add(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Name to store it under, by default that on the Hub."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Safetensors file of weights by timm's names.")
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(metavar="ARCH", help="timm architecture of the weights in FILE.")
    ] = None,
    from_hub: Annotated[
        str | None, typer.Option("--from-hub", metavar="ID", help="Download this timm model instead of FILE.")
    ] = None,
    license_name: Annotated[
        str | None, typer.Option("--license", metavar="TEXT", help="Name of the license of the weights.")
    ] = None,
    card: Annotated[Path | None, typer.Option(metavar="FILE", help="Markdown file about the base.")] = None,
    mean: Annotated[
        Triple | None, typer.Option(metavar="R G B", help="Mean of each channel, by default timm's.")
    ] = None,
    std: Annotated[
        Triple | None,
        typer.Option(metavar="R G B", help="Standard deviation of each channel, by default timm's."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Store a base, so that trainings, workers and the app can load it by its name."""
    text = _card_text(card)
    if from_hub is not None:
        if file is not None or architecture is not None:
            refuse_together("--from-hub", "--file", "--architecture")
        if mean is not None or std is not None:
            refuse_together("--from-hub", "--mean", "--std")
        stored = _from_hub(from_hub, name or from_hub, license_name, text)
    elif name is None or file is None or architecture is None:
        raise typer.BadParameter("give NAME, --file and --architecture, or --from-hub alone.")
    else:
        from loravit_web.backbones.weights_file import base_of_weights, read_weights

        base = base_of_weights(read_weights(file), architecture, name=name, mean=mean, std=std)
        with open_service() as service:
            stored = _add(service, name, base, license_name, text)
    document = stored_document(stored)
    output(as_json, document, lambda: f"Stored {stored.base.name} ({document['megabytes']} MB).")


def offered_document(base: OfferedBase) -> Document:
    """Return a base to choose from as one flat row."""
    return {
        "name": base.name,
        "where": WHERE[base.source],
        "at_hand": base.is_at_hand,
        "architecture": base.architecture,
        "license": base.license,
        "patch_size": base.patch_size,
        "megabytes": base.megabytes,
        "summary": base.summary,
    }


def stored_document(stored: StoredBase) -> Document:
    """Return a base of the store as one flat row."""
    return {
        "name": stored.base.name,
        "architecture": stored.base.architecture,
        "license": stored.license,
        "weights_sha256": stored.base.weights_sha256,
        "file_sha256": stored.weights.sha256,
        "megabytes": round(stored.weights.size / 1e6),
        "parameters": stored.parameters,
        "depth": stored.base.depth,
        "embed_dim": stored.base.embed_dim,
        "patch_size": stored.patch_size,
        "mean": list(stored.mean),
        "std": list(stored.std),
        "added_by": stored.added_by,
    }


def _from_hub(hub_id: str, name: str, license_name: str | None, card: str) -> StoredBase:
    with open_service() as service:
        base = service.hub_base(hub_id)
        about = getattr(base.model, "pretrained_cfg", None) or {}
        return _add(service, name, base, license_name or about.get("license"), card or _hub_card(hub_id))


def _add(service: Service, name: str, base: Base, license_name: str | None, card: str) -> StoredBase:
    from loravit_web.actions import Actions

    return Actions(service, SHELL).add_base(name, base, license=license_name or "", card=card)


def _shown(document: Document) -> str:
    facts = {key: value for key, value in document.items() if key != "card"}
    return "\n\n".join(filter(None, [details(facts), document.get("card", "").strip()]))


def _card_text(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CommandFailed(f"The card {file} cannot be read ({reason}). Give a Markdown file.") from error


def _hub_card(name: str) -> str:
    return f"# {name}\n\nThe timm model `{name}` of https://huggingface.co/timm/{name}.\n"
