"""Output as aligned text, as details and as JSON."""

from __future__ import annotations

from loravit_web.cli.shell import details, json_text, table


def test_numbers_that_json_lacks_become_their_names() -> None:
    assert json_text({"loss": float("nan"), "all": [float("inf"), 1.5]}) == (
        '{\n  "loss": "nan",\n  "all": [\n    "inf",\n    1.5\n  ]\n}'
    )


def test_letters_of_every_script_stay_readable_in_json() -> None:
    assert json_text(["Blüte", "猫"]) == '[\n  "Blüte",\n  "猫"\n]'


def test_a_table_aligns_its_columns_and_marks_missing_values() -> None:
    rows = [{"name": "a", "score": 0.123456}, {"name": "long"}]
    assert table(rows, ["name", "score"], "none") == "name  score\na     0.1235\nlong  -"


def test_a_table_without_rows_is_the_sentence_for_that() -> None:
    assert table([], ["name"], "No adapters yet.") == "No adapters yet."


def test_details_leave_out_empty_values() -> None:
    document = {"val_accuracy": 0.5, "note": None, "error": "", "classes": ["cat", "dog"]}
    assert details(document) == 'val accuracy: 0.5\nclasses: ["cat", "dog"]'
