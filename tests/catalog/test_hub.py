"""Pushing and pulling with the real huggingface_hub against a small Hub on loopback."""

from __future__ import annotations

from dataclasses import replace

import pytest
from huggingface_hub import HfApi, constants
from PIL import Image

from loravit_web.adapters.files.bundle import MANIFEST_FILE, Bundle, BundleChanged, packed
from loravit_web.adapters.files.card import model_card
from loravit_web.adapters.files.fileset import CARD_FILE, THUMBNAIL_FILE, FilesMissing, PlainPeftAdapter
from loravit_web.adapters.files.format import (
    CONFIG_FILE,
    TASK_FILE,
    WEIGHTS_FILE,
    AdapterFormatError,
    to_files,
)
from loravit_web.adapters.files.thumbnail import contact_sheet
from loravit_web.catalog import hub as hub_module
from loravit_web.catalog.hub import (
    HubAccessRefused,
    HubError,
    HubRepositoryMissing,
    HubRepositoryPublic,
    HubUnreachable,
    NoHubToken,
    pull,
    push,
)
from tests.adapters.makers import random_adapter
from tests.conftest import tiny_base
from tests.hub_server import TOKEN, FakeHub


@pytest.fixture
def fake(fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    monkeypatch.setattr(hub_module, "get_token", lambda: None)  # nobody's own token
    return fake_hub


@pytest.fixture
def api(fake: FakeHub) -> HfApi:
    return HfApi(endpoint=fake.url, token=TOKEN)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    base = tiny_base()
    adapter = random_adapter(base)
    files = to_files(adapter, base, name="pets", title="Pets")
    files[CARD_FILE] = model_card(adapter, base, name="pets", title="Pets", thumbnail=True)
    files[THUMBNAIL_FILE] = contact_sheet([Image.new("RGB", (9, 9))])
    return Bundle("pets", "Pets", files, "Cats, dogs and hens.", ("fur",))


def test_what_is_pushed_comes_back_whole(bundle: Bundle, fake: FakeHub, api: HfApi) -> None:
    pushed = push(bundle, "me/pets", message="pets@1", api=api)
    repository = fake.repositories["me/pets"]
    assert repository.files() == {".gitattributes": b"", **packed(bundle)}
    assert (pushed.repo, pushed.commit) == ("me/pets", repository.branches["main"])
    assert pushed.url == f"{fake.url}/me/pets/commit/{pushed.commit}"
    assert repository.messages[-1] == "pets@1"
    assert not repository.private
    assert pull("me/pets", api=api) == bundle
    assert pull("me/pets", revision=pushed.commit, api=api) == bundle


def test_the_weights_go_by_large_file_storage_as_the_hub_asks(
    bundle: Bundle, fake: FakeHub, api: HfApi
) -> None:
    push(bundle, "me/pets", message="pets@1", api=api)
    assert list(fake.uploaded.values()) == [bundle.files[WEIGHTS_FILE]]


def test_a_name_without_an_owner_is_ones_own(bundle: Bundle, fake: FakeHub, api: HfApi) -> None:
    assert push(bundle, "pets", message="pets@1", api=api).repo == "me/pets"


def test_a_branch_is_made_and_the_main_one_left_alone(bundle: Bundle, fake: FakeHub, api: HfApi) -> None:
    push(bundle, "me/pets", message="pets@1", revision="try/one", api=api)
    repository = fake.repositories["me/pets"]
    assert repository.files() == {".gitattributes": b""}
    assert pull("me/pets", revision="try/one", api=api) == bundle
    with pytest.raises(FilesMissing, match="me/pets is not an adapter. Add the missing"):
        pull("me/pets", api=api)


def test_the_next_version_replaces_the_last_and_leaves_other_files(
    bundle: Bundle, fake: FakeHub, api: HfApi
) -> None:
    push(bundle, "me/pets", message="pets@1", api=api)
    repository = fake.repositories["me/pets"]
    repository.commit({**repository.files(), "notes.txt": b"mine"})
    small = replace(bundle, files={n: d for n, d in bundle.files.items() if n != THUMBNAIL_FILE})
    push(small, "me/pets", message="pets@2", api=api)
    assert repository.files() == {".gitattributes": b"", "notes.txt": b"mine", **packed(small)}
    assert pull("me/pets", api=api) == small


def test_a_new_repository_is_private_when_asked_and_a_public_one_refused(
    bundle: Bundle, fake: FakeHub, api: HfApi
) -> None:
    push(bundle, "me/secret", message="pets@1", private=True, api=api)
    assert fake.repositories["me/secret"].private
    push(bundle, "me/secret", message="pets@1", private=True, api=api)
    public = fake.add("me/open", {})
    with pytest.raises(HubRepositoryPublic, match="me/open exists and is public"):
        push(bundle, "me/open", message="pets@1", private=True, revision="x", api=api)
    assert list(public.branches) == ["main"]
    assert public.files() == {}


def test_only_the_files_of_an_adapter_are_fetched(bundle: Bundle, fake: FakeHub, api: HfApi) -> None:
    others = {"adapter_model.bin": b"pickle", "run.py": b"", "sub/task.json": b"{}"}
    fake.add("me/pets", {**packed(bundle), **others})
    assert pull("me/pets", api=api) == bundle
    fetched = {request.rpartition("/")[2] for request in fake.requests if "/resolve/" in request}
    assert fetched == {*bundle.files, MANIFEST_FILE}
    assert not any("sub/" in request for request in fake.requests)


def test_a_file_that_is_too_large_is_not_fetched(bundle: Bundle, fake: FakeHub, api: HfApi) -> None:
    fake.add("me/pets", packed(bundle))
    fake.lies_about_sizes = 2 << 30
    with pytest.raises(AdapterFormatError, match="in me/pets is 2048 MB. The limit is"):
        pull("me/pets", api=api)
    assert not any("/resolve/" in request for request in fake.requests)


def test_a_card_that_was_edited_on_the_hub_is_taken_as_it_is(
    bundle: Bundle, fake: FakeHub, api: HfApi
) -> None:
    fake.add("me/pets", {**packed(bundle), CARD_FILE: b"# My pets"})
    assert pull("me/pets", api=api).files[CARD_FILE] == b"# My pets"


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({TASK_FILE: b"{}"}, BundleChanged, f"{TASK_FILE} differs from its hash in {MANIFEST_FILE}"),
        ({MANIFEST_FILE: None}, BundleChanged, f"has no {MANIFEST_FILE}"),
        ({TASK_FILE: None}, PlainPeftAdapter, "me/pets is a plain PEFT adapter"),
        ({WEIGHTS_FILE: None, "adapter_model.bin": b""}, FilesMissing, "pickle that could run any code"),
        ({CONFIG_FILE: None, TASK_FILE: None}, FilesMissing, "me/pets is not an adapter"),
    ],
)
def test_files_that_are_no_whole_adapter_are_refused(
    changes: dict[str, bytes | None],
    error: type[Exception],
    sentence: str,
    bundle: Bundle,
    fake: FakeHub,
    api: HfApi,
) -> None:
    files = {**packed(bundle), **changes}
    fake.add("me/pets", {name: data for name, data in files.items() if data is not None})
    with pytest.raises(error, match=sentence):
        pull("me/pets", api=api)


def test_without_a_token_nothing_is_pushed_and_what_is_public_is_pulled(
    bundle: Bundle, fake: FakeHub
) -> None:
    stranger = HfApi(endpoint=fake.url, token=False)
    with pytest.raises(NoHubToken, match="To log in, run hf auth login or set HF_TOKEN"):
        push(bundle, "me/pets", message="pets@1", api=stranger)
    assert fake.requests == []
    fake.add("me/pets", packed(bundle))
    assert pull("me/pets", api=stranger) == bundle


def test_a_private_repository_is_as_good_as_missing_to_a_stranger(bundle: Bundle, fake: FakeHub) -> None:
    fake.add("me/pets", packed(bundle), private=True)
    with pytest.raises(HubRepositoryMissing, match="shows no repository me/pets.*log in if it is private"):
        pull("me/pets", api=HfApi(endpoint=fake.url, token=False))
    with pytest.raises(HubRepositoryMissing, match="shows no repository me/none"):
        pull("me/none", api=HfApi(endpoint=fake.url, token=TOKEN))


def test_a_gated_repository_says_where_to_ask(bundle: Bundle, fake: FakeHub, api: HfApi) -> None:
    fake.add("me/pets", packed(bundle), gated=True)
    with pytest.raises(HubAccessRefused, match=f"is gated. Request access on {fake.url}/me/pets"):
        pull("me/pets", api=api)


@pytest.mark.parametrize("token", [TOKEN, "hf_expired"])
def test_a_token_that_may_not_write_is_told_so(token: str, bundle: Bundle, fake: FakeHub) -> None:
    fake.refuses_writes = True
    with pytest.raises(HubAccessRefused, match="has no permission for this in me/pets"):
        push(bundle, "me/pets", message="pets@1", api=HfApi(endpoint=fake.url, token=token))
    assert fake.repositories == {}


def test_a_revision_that_is_not_there_is_named(bundle: Bundle, fake: FakeHub, api: HfApi) -> None:
    fake.add("me/pets", packed(bundle))
    with pytest.raises(HubRepositoryMissing, match="me/pets has no such revision"):
        pull("me/pets", revision="none", api=api)


@pytest.mark.parametrize("name", ["a/b/c", "me/pe ts", "../x", "", "me/" + "x" * 100])
def test_what_can_not_be_a_repository_is_told_how_to_write_one(name: str, bundle: Bundle, api: HfApi) -> None:
    with pytest.raises(HubRepositoryMissing, match="Write it as owner/name"):
        pull(name, api=api)
    with pytest.raises(HubRepositoryMissing, match="Write it as owner/name"):
        push(bundle, name, message="pets@1", api=api)


def test_an_unreachable_hub_is_one_sentence(bundle: Bundle, fake: FakeHub) -> None:
    nobody = HfApi(endpoint="http://127.0.0.1:9", token=TOKEN)
    for act in (lambda: pull("me/pets", api=nobody), lambda: push(bundle, "me/p", message="x", api=nobody)):
        with pytest.raises(HubUnreachable, match=r"The Hub at http://127\.0\.0\.1:9 cannot be reached"):
            act()


def test_a_hub_that_is_switched_off_says_by_what(
    bundle: Bundle, api: HfApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnreachable, match="HF_HUB_OFFLINE disables the Hub. Unset it"):
        pull("me/pets", api=api)


def test_metadata_that_the_hub_does_not_take_is_told_before_anything_is_sent(
    bundle: Bundle, fake: FakeHub, api: HfApi
) -> None:
    fake.bad_yaml = '"base_model" with value "x" is not valid.'
    with pytest.raises(HubError, match='rejected these files.*"base_model" with value'):
        push(bundle, "me/pets", message="pets@1", api=api)
    assert fake.repositories["me/pets"].files() == {".gitattributes": b""}


def test_somebody_elses_commit_in_between_is_not_overwritten(
    bundle: Bundle, fake: FakeHub, api: HfApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = fake.add("me/pets", {})
    preupload = HfApi.preupload_lfs_files

    def meanwhile(self: HfApi, *args: object, **options: object) -> None:
        preupload(self, *args, **options)  # type: ignore[arg-type]
        repository.commit({"theirs.txt": b""})

    monkeypatch.setattr(HfApi, "preupload_lfs_files", meanwhile)
    with pytest.raises(HubError, match="rejected the request for me/pets .*A commit has happened since"):
        push(bundle, "me/pets", message="pets@1", api=api)
    assert repository.files() == {"theirs.txt": b""}
