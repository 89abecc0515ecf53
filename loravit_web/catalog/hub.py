"""Upload and download of adapters to and from the Hugging Face Hub.

A repository contains the files of a bundle. This is the only module that transfers adapters, and it only
does so when a user requests it.
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

LOG_IN = "To log in, run hf auth login or set HF_TOKEN."


class HubError(LoraVitError):
    """A request to the Hub that failed."""


class NoHubToken(HubError):
    """An upload without a token."""


class HubUnreachable(HubError):
    """A Hub that cannot be reached."""


class HubRepositoryMissing(HubError):
    """A repository or revision that does not exist, or that the token may not read."""


class HubAccessRefused(HubError):
    """A request that the token does not allow."""


class HubRepositoryPublic(HubError):
    """A private upload to a public repository."""


@dataclass(frozen=True)
class Pushed:
    """An uploaded adapter.

    Attributes:
        repo: Name of the repository, ``owner/name``.
        commit: Id of the commit with these files.
        url: URL of the commit.
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
    """Commit the files of a bundle to a repository, which is created if it does not exist.

    Files of an earlier adapter that this one does not have are deleted in the same commit. Other files are
    kept.

    Args:
        bundle: Adapter with its texts.
        repo: ``owner/name``, or a name in one's own account.
        message: Message of the commit.
        private: Whether a new repository is private, and a public one is rejected.
        revision: Branch, created if it does not exist, or None for the main branch.
        api: Client of the Hub, or None for one with the default token and address.

    Returns:
        The uploaded commit.

    Raises:
        HubError: If the upload failed. The repository has all of the files or none.
    """
    api = api or HfApi()
    if not (api.token or get_token()):
        raise NoHubToken(f"Pushing needs a token of the Hugging Face Hub. {LOG_IN}")
    with _hub_errors(repo, api):
        repo = api.create_repo(repo, private=private or None, exist_ok=True).repo_id
        state = api.model_info(repo)
        if private and not state.private:
            raise HubRepositoryPublic(
                f"{repo} exists and is public. Make it private on its page first, or push without --private."
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
    """Download the adapter in a repository.

    Only files of an adapter are downloaded, all from one commit, after a check of their sizes. The model card
    may differ from the manifest, because cards are edited on the Hub.

    Args:
        repo: Name of the repository, ``owner/name``.
        revision: Branch, tag or commit, or None for the main branch.
        api: Client of the Hub, or None for one with the default token and address.

    Returns:
        The adapter as a bundle.

    Raises:
        HubError: If the download failed.
        AdapterFormatError: If the repository contains no adapter of this app, or its files are damaged.
    """
    api = api or HfApi()
    with _hub_errors(repo, api), tempfile.TemporaryDirectory() as cache:
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
        found = "of unknown size" if size is None else f"{size >> 20} MB"
        raise AdapterFormatError(f"{name} in {repo} is {found}. The limit is {limit >> 20} MB.")


@contextmanager
def _hub_errors(repo: str, api: HfApi) -> Iterator[None]:
    """Turn exceptions of the client into a `HubError`."""
    try:
        yield
    except HFValidationError as error:
        raise HubRepositoryMissing(
            f"{repo!r} is not a valid name of a repository. Write it as owner/name."
        ) from error
    except GatedRepoError as error:
        raise HubAccessRefused(
            f"{repo} is gated. Request access on {api.endpoint}/{repo}. {LOG_IN}"
        ) from error
    except RevisionNotFoundError as error:
        raise HubRepositoryMissing(
            f"{repo} has no such revision. Use the name of a branch, a tag or a commit."
        ) from error
    except RepositoryNotFoundError as error:
        raise HubRepositoryMissing(
            f"The Hub shows no repository {repo}. Check its name, and log in if it is private. {LOG_IN}"
        ) from error
    except HfHubHTTPError as error:
        raise _refused(repo, error) from error
    except OfflineModeIsEnabled as error:
        raise HubUnreachable("HF_HUB_OFFLINE disables the Hub. Unset it.") from error
    except (hub_http_error(), LocalEntryNotFoundError, ConnectionError) as error:
        raise HubUnreachable(
            f"The Hub at {api.endpoint} cannot be reached. Check the network and try again."
        ) from error
    except (OSError, RuntimeError) as error:  # from the disk, or from the client's native transfer
        raise HubError(f"The transfer of {repo} failed ({_line(error)}). Try again.") from error
    except ValueError as error:  # the Hub's message about a card
        raise HubError(f"The Hub rejected these files ({_line(error)}).") from error


def _refused(repo: str, error: HfHubHTTPError) -> HubError:
    status = error.response.status_code
    if status in (401, 403):
        return HubAccessRefused(
            f"The token has no permission for this in {repo}. Use a token that has it. {LOG_IN}"
        )
    message = _line(error.server_message or f"status {status}")
    return HubError(f"The Hub rejected the request for {repo} ({message}).")


def _line(text: object) -> str:
    return " ".join(str(text).split())[:300].rstrip(".")
