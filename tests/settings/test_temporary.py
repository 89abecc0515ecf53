"""The folder for temporary files is checked, and nothing is left in it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from loravit_web.settings.temporary import TemporaryFolderUnusable, check_temporary_folder


def test_a_folder_that_can_be_written_is_created_and_left_empty(tmp_path: Path) -> None:
    for _ in range(2):
        check_temporary_folder(tmp_path / "new" / "gradio")
    assert list((tmp_path / "new" / "gradio").iterdir()) == []


def test_a_folder_of_another_user_is_told_with_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_how: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refused)
    with pytest.raises(TemporaryFolderUnusable) as told:
        check_temporary_folder(tmp_path)
    assert str(told.value) == (
        f"The folder for temporary files, {tmp_path}, cannot be written (permission denied). Set "
        "GRADIO_TEMP_DIR to a folder of your own."
    )
