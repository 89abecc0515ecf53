"""``adapters``: aliases, tags and texts, withdrawing, archiving and restoring."""

from __future__ import annotations

import pytest

from loravit_web.cli.main import main
from registry import Registry
from tests.cli.conftest import Json, Text

pytestmark = pytest.mark.usefixtures("pets")


def test_a_promoted_version_gets_the_alias_whose_history_is_kept(run_json: Json) -> None:
    assert run_json("adapters", "promote", "pets@1", "production")["adapter"] == "pets@1"
    run_json("adapters", "promote", "pets@3", "production")
    document = run_json("adapters", "aliases", "pets")
    assert (document["latest"], [alias["adapter"] for alias in document["aliases"]]) == ("pets@3", ["pets@3"])
    assert [(move["from"], move["to"], move["by"]) for move in document["history"]] == [
        (1, 3, "shell"),
        (None, 1, "shell"),
    ]
    assert run_json("adapters", "rollback", "pets", "production")["adapter"] == "pets@1"
    assert run_json("adapters", "list")[0]["aliases"] == {"production": "pets@1"}


def test_a_protected_alias_moves_only_with_the_option_for_it(run_json: Json, refusal: Text) -> None:
    run_json("adapters", "promote", "pets@1", "production")
    protected = run_json("adapters", "aliases", "pets", "--protect", "production")
    assert protected["aliases"][0]["protected"] is True
    assert "is protected" in refusal("adapters", "promote", "pets@2", "production")
    assert "is protected" in refusal("adapters", "aliases", "pets", "--remove", "production")
    moved = run_json("adapters", "promote", "pets@2", "production", "--protected")
    assert moved["adapter"] == "pets@2"
    assert "is protected" in refusal("adapters", "rollback", "pets", "production")
    run_json("adapters", "aliases", "pets", "--unprotect", "production")
    assert run_json("adapters", "aliases", "pets", "--remove", "production")["aliases"] == []


@pytest.mark.parametrize("second", ["--protect", "--unprotect"])
def test_two_changes_of_aliases_at_once_are_refused_with_exit_code_2(
    second: str, run_json: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    run_json("adapters", "promote", "pets@1", "production")
    assert main(["adapters", "aliases", "pets", "--remove", "production", second, "production"]) == 2
    assert "use only one of them" in capsys.readouterr().err
    assert len(run_json("adapters", "aliases", "pets")["aliases"]) == 1


def test_thresholds_are_changed_one_by_one_and_reset_together(run_json: Json) -> None:
    assert run_json("adapters", "thresholds", "pets") == {
        "adapter": "pets@3",
        "unlike": None,
        "unsure": None,
        "reliability": None,
    }
    run_json("adapters", "thresholds", "pets@3", "--unlike", "1.5")
    changed = run_json("adapters", "thresholds", "pets@3", "--unsure", "0.7")
    assert (changed["unlike"], changed["unsure"]) == (1.5, 0.7)
    shown = run_json("adapters", "show", "pets")["versions"]
    assert [version["thresholds"] for version in shown] == [{"unlike": 1.5, "unsure": 0.7}, None, None]
    reset = run_json("adapters", "thresholds", "pets@3", "--as-trained")
    assert (reset["unlike"], reset["unsure"]) == (None, None)
    newest = run_json("adapters", "events", "pets", "--limit", "1")[0]
    assert (newest["actor"], newest["kind"], newest["what"]) == ("shell", "adjusted", "pets@3")


def test_people_read_the_thresholds_in_words(text: Text) -> None:
    assert text("adapters", "thresholds", "pets").splitlines() == [
        "pets@3",
        "unlike: above the trained threshold",
        "unsure: below a confidence of 0.5 (as trained)",
        "This version has no figures of how well it tells what it does not know.",
    ]
    lines = text("adapters", "thresholds", "pets", "--unlike", "2", "--unsure", "0.7").splitlines()
    assert lines[1:3] == ["unlike: above 2 x the trained threshold", "unsure: below a confidence of 0.7"]


def test_a_threshold_out_of_range_is_one_sentence_and_a_reset_stands_alone(
    refusal: Text, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "the threshold of unsure" in refusal("adapters", "thresholds", "pets", "--unsure", "2")
    assert main(["adapters", "thresholds", "pets", "--as-trained", "--unlike", "2"]) == 2
    assert "use only one of them" in capsys.readouterr().err


def test_a_withdrawn_version_is_still_shown_with_its_reason(run_json: Json) -> None:
    assert run_json("adapters", "withdraw", "pets@3", "--reason", "mislabelled") == {
        "adapter": "pets@3",
        "withdrawn": "mislabelled",
    }
    shown = run_json("adapters", "show", "pets")
    assert [version["withdrawn"] for version in shown["versions"]] == ["mislabelled", None, None]
    assert run_json("adapters", "show", "pets@3")["versions"][0]["withdrawn"] == "mislabelled"
    assert run_json("adapters", "aliases", "pets")["latest"] == "pets@2"


def test_a_version_in_production_cannot_be_withdrawn(run_json: Json, refusal: Text) -> None:
    run_json("adapters", "promote", "pets@1", "production")
    sentence = refusal("adapters", "withdraw", "pets@1", "--reason", "bad")
    assert "Move production to another version first" in sentence


def test_tags_and_texts_are_changed_and_shown(run_json: Json) -> None:
    assert run_json("adapters", "tag", "pets", "animals", "indoor")["tags"] == ["animals", "indoor"]
    changed = run_json("adapters", "tag", "pets", "outdoor", "--remove", "indoor")
    assert changed["tags"] == ["animals", "outdoor"]
    run_json("adapters", "describe", "pets", "--title", "Our pets", "--description", "All of them.")
    shown = run_json("adapters", "show", "pets")
    assert (shown["title"], shown["description"]) == ("Our pets", "All of them.")
    assert (shown["tags"], shown["owner"]) == (["animals", "outdoor"], "ann")


def test_an_archived_adapter_leaves_the_list_until_it_is_restored(run_json: Json) -> None:
    assert run_json("adapters", "archive", "pets") == {"slug": "pets", "archived": True}
    assert run_json("adapters", "list") == []
    assert run_json("adapters", "show", "pets")["archived"] is True
    assert run_json("adapters", "restore", "pets") == {"slug": "pets", "archived": False}
    assert len(run_json("adapters", "list")) == 1


def test_changes_by_the_shell_are_recorded_as_such(run_json: Json) -> None:
    run_json("adapters", "tag", "pets", "animals")
    run_json("adapters", "promote", "pets@2", "production")
    found = run_json("adapters", "events", "pets", "--limit", "2")
    changes = [(event["kind"], event["actor"]) for event in found]
    assert changes == [
        ("promoted", "shell"),
        ("tagged", "shell"),
    ]


def test_people_read_what_a_change_has_done(text: Text) -> None:
    assert text("adapters", "promote", "pets@3", "production") == "pets@production now points to pets@3.\n"
    aliases = text("adapters", "aliases", "pets")
    assert aliases.startswith("latest: pets@3\n")
    assert "promoted" in aliases
    assert text("adapters", "tag", "pets") == "pets: no tags.\n"
    assert text("adapters", "archive", "pets") == "pets is archived.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["promote", "pets@1", "v3"], "looks like a version number"),
        (["promote", "pets@1", "latest"], "newest version"),
        (["promote", "pets@9", "production"], "no version or alias '9'"),
        (["rollback", "pets", "production"], "no alias 'production'"),
        (["withdraw", "pets@1", "--reason", " "], "has no reason"),
        (["tag", "pets", "Not A Tag"], "cannot be a tag"),
        (["describe", "pets", "--title", " "], "the title of pets"),
        (["restore", "cars"], "no adapter 'cars'"),
    ],
)
def test_what_cannot_be_changed_is_one_sentence(words: list[str], sentence: str, refusal: Text) -> None:
    assert sentence in refusal("adapters", *words)


def test_a_deletion_says_what_would_happen_until_it_is_confirmed(
    registry: Registry, run_json: Json, text: Text
) -> None:
    shown = text("adapters", "delete", "pets@2")
    assert shown.splitlines()[0] == "pets@2 and its files are deleted. Its number is not used again."
    assert shown.splitlines()[-1] == "Nothing is deleted yet. Add --yes to delete it."
    assert len(registry.catalog.versions("pets")) == 3
    document = run_json("adapters", "delete", "pets@2", "--yes")
    assert (document["adapter"], document["deleted"]) == ("pets@2", True)
    assert [version.version for version in registry.catalog.versions("pets")] == [3, 1]
    assert text("adapters", "delete", "pets", "--yes") == "pets is deleted.\n"
    assert registry.catalog.adapters(include_archived=True) == []


def test_a_version_that_an_alias_named_is_not_deleted(registry: Registry, refusal: Text) -> None:
    registry.aliases.promote("pets@2", "production", actor="ann")
    assert "because production named it" in refusal("adapters", "delete", "pets@2", "--yes")
