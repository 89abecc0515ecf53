"""Adapters to and from the Hugging Face Hub: the one module that talks to it about them.

A repository holds what a bundle holds. Nothing here runs unless somebody asks for it by command.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo

from loravit_web.adapters.files.bundle import BUNDLE_LIMITS, Bundle, packed, unpacked
from loravit_web.adapters.files.fileset import CARD_FILE, check_complete
from loravit_web.adapters.files.format import AdapterFormatError
from loravit_web.backbones.loading import hub_http_error
from loravit_web.errors import LoraVitError

LOG_IN = "log in with hf auth login, or set HF_TOKEN"


class HubError(LoraVitError):
    """The Hub can't or won't do what it was asked for."""


class NoHubToken(HubError):
    """Writing needs a token and there is none."""


class HubUnreachable(HubError):
    """Nothing answers at the Hub's address."""


class HubRepositoryMissing(HubError):
    """There is no such repository or revision, or none that this token may see."""


class HubAccessRefused(HubError):
    """The repository is there and this token may not do that with it."""


class HubRepositoryPublic(HubError):
    """A private repository was asked for and this one is public."""


@dataclass(frozen=True)
class Pushed:
    """Where an adapter is now.

    Attributes:
        repo: owner/name.
        commit: the commit that has exactly these files.
        url: of that commit.
    """

    repo: str
    commit: str
    url: str


def push(
    bundle: Bundle,
    repo: str,
    *,
    message: str,
    private: bool = False,
    revision: str | None = None,
    api: HfApi | None = None,
) -> Pushed:
    """Commit a bundle's files to a repository, which is made where there is none.

    Files of an earlier adapter that this one lacks are deleted in the same commit; others stay as they are.

    Args:
        repo: owner/name, or a name of one's own.
        message: of the commit.
        private: make a new repository private, and refuse one that is public.
        revision: a branch, made where there is none; the main one when None.
        api: the client; the default one, with its own token and address, when None.

    Raises:
        HubError: with what went wrong; a commit is made whole or not at all.
    """
    api = api or HfApi()
    if not (api.token or get_token()):
        raise NoHubToken(f"Pushing needs a token of the Hugging Face Hub: {LOG_IN}.")
    with _told(repo, api):
        repo = api.create_repo(repo, private=private or None, exist_ok=True).repo_id
        state = api.model_info(repo)
        if private and not state.private:
            raise HubRepositoryPublic(
                f"{repo} exists and is public: make it private on its page first, or push without --private."
            )
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
            state = api.model_info(repo, revision=revision)
        files = packed(bundle)
        stale = set(_sizes(state)) & set(BUNDLE_LIMITS) - set(files)
        commit = api.create_commit(
            repo,
            [
                *(CommitOperationAdd(name, data) for name, data in sorted(files.items())),
                *(CommitOperationDelete(name) for name in sorted(stale)),
            ],
            commit_message=message,
            revision=revision,
            parent_commit=state.sha,
        )
    return Pushed(repo, commit.oid, str(commit.commit_url))


def pull(repo: str, *, revision: str | None = None, api: HfApi | None = None) -> Bundle:
    """The adapter in a repository.

    Only files that an adapter has are fetched, all of one commit, and none before its size is known. The card
    may differ from the manifest: cards are edited on the Hub.

    Args:
        repo: owner/name.
        revision: a branch, tag or commit; the main branch when None.
        api: the client; the default one, with its own token and address, when None.

    Raises:
        HubError: if it can't be had.
        AdapterFormatError: if it is no adapter of this program, or its files are not whole.
    """
    api = api or HfApi()
    with _told(repo, api), tempfile.TemporaryDirectory() as cache:
        state = api.model_info(repo, revision=revision, files_metadata=True)
        sizes = {name: size for name, size in _sizes(state).items() if name in BUNDLE_LIMITS}
        check_complete(_sizes(state), repo)
        for name, size in sizes.items():
            _check_size(repo, name, size)
        files = {}
        for name in sorted(sizes):
            path = Path(api.hf_hub_download(repo, name, revision=state.sha, cache_dir=cache))
            _check_size(repo, name, path.stat().st_size)
            files[name] = path.read_bytes()
    return unpacked(files, editable=(CARD_FILE,))


def _sizes(state: ModelInfo) -> dict[str, int | None]:
    return {file.rfilename: file.size for file in state.siblings or ()}


def _check_size(repo: str, name: str, size: int | None) -> None:
    limit = BUNDLE_LIMITS[name]
    if size is None or size > limit:
        found = "of unknown size" if size is None else f"{size >> 20} MB large"
        raise AdapterFormatError(f"{name} in {repo} is {found}: an adapter's has at most {limit >> 20} MB.")


@contextmanager
def _told(repo: str, api: HfApi) -> Iterator[None]:
    """Turn whatever the client raises into one sentence."""
    try:
        yield
    except HFValidationError as error:
        raise HubRepositoryMissing(
            f"{repo!r} can't be a repository of the Hub: write it as owner/name."
        ) from error
    except GatedRepoError as error:
        raise HubAccessRefused(
            f"{repo} is gated: ask for access on {api.endpoint}/{repo} and {LOG_IN}."
        ) from error
    except RevisionNotFoundError as error:
        raise HubRepositoryMissing(f"{repo} has no such revision: name a branch, tag or commit.") from error
    except RepositoryNotFoundError as error:
        raise HubRepositoryMissing(
            f"The Hub shows no repository {repo}: check its name, and if it is private {LOG_IN}."
        ) from error
    except HfHubHTTPError as error:
        raise _refused(repo, error) from error
    except OfflineModeIsEnabled as error:
        raise HubUnreachable("The Hub is switched off by HF_HUB_OFFLINE: unset it.") from error
    except (hub_http_error(), LocalEntryNotFoundError, ConnectionError) as error:
        raise HubUnreachable(
            f"The Hub at {api.endpoint} can't be reached: check the network and try again."
        ) from error
    except (OSError, RuntimeError) as error:  # of the disk, or of the client's native transfer
        raise HubError(f"The transfer of {repo} failed ({_line(error)}): try again.") from error
    except ValueError as error:  # what the Hub says about a card
        raise HubError(f"The Hub does not take these files ({_line(error)}).") from error


def _refused(repo: str, error: HfHubHTTPError) -> HubError:
    status = error.response.status_code
    if status in (401, 403):
        return HubAccessRefused(
            f"The Hub does not let this token do that with {repo}: {LOG_IN}, with one that may."
        )
    said = _line(error.server_message or f"status {status}")
    return HubError(f"The Hub refused it for {repo} ({said}).")


def _line(text: object) -> str:
    return " ".join(str(text).split())[:300].rstrip(".")
