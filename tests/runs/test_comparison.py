"""What differs between runs and the best of each line, as texts."""

from __future__ import annotations

from loravit_web.runs.comparison import ComparedRow, best_rows, setting_rows
from registry import ABSENT, Comparison, Difference


def test_settings_are_shown_shortly_and_absent_is_not_none() -> None:
    comparison = Comparison(
        (),
        (
            Difference("lr", (0.001, 0.0005)),
            Difference("blocks", ([10, 11], ABSENT)),
            Difference("dropout", (None, True)),
            Difference("dataset.fingerprint", ("a" * 64, "b" * 64)),
        ),
        (),
    )
    assert [row.cells for row in setting_rows(comparison)] == [
        ("0.001", "0.0005"),
        ("10, 11", "–"),
        ("none", "True"),
        ("a" * 12, "b" * 12),
    ]


def test_the_best_is_the_highest_accuracy_and_the_lowest_loss() -> None:
    comparison = Comparison(
        (),
        (),
        (
            Difference("val_loss.min", (0.4, 0.2, ABSENT)),
            Difference("val_accuracy.max", (0.8, 0.9, 0.9)),
            Difference("linear_probe_accuracy.last", (0.7, 0.7, 0.7)),
            Difference("lr.max", (1.0, 2.0, 3.0)),
        ),
    )
    assert best_rows(comparison) == [
        ComparedRow("best validation accuracy", ("80.0%", "90.0%", "90.0%"), frozenset({1, 2})),
        ComparedRow("probe", ("70.0%", "70.0%", "70.0%")),
        ComparedRow("min. validation loss", ("0.4", "0.2", "–"), frozenset({1})),
    ]
