"""Uploaded files are told from all other files of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from gradio.utils import get_upload_folder

from loravit_web.ui.kit.uploads import UnreadableUpload, upload_folder, uploaded, uploaded_path


@pytest.mark.parametrize("folder", [None, "", "/some/where"])
def test_the_folder_of_uploads_is_gradios(monkeypatch: pytest.MonkeyPatch, folder: str | None) -> None:
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    if folder is not None:
        monkeypatch.setenv("GRADIO_TEMP_DIR", folder)
    assert str(upload_folder()) == get_upload_folder()


def test_only_files_in_the_folder_of_uploads_are_uploads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    inside, outside = tmp_path / "gradio" / "a" / "a.png", tmp_path / "secret.png"
    inside.parent.mkdir(parents=True)
    for file in (inside, outside):
        file.write_bytes(b"")
    around = f"{tmp_path}/gradio/../secret.png"
    assert uploaded([[(str(inside), "caption")], str(outside), around, None, "a\0b"]) == (inside,)
    assert uploaded_path({"path": str(inside)}) == inside
    for other in (str(outside), around, "a\0b", str(tmp_path / "gradio")):
        with pytest.raises(UnreadableUpload, match="Upload it first"):
            uploaded_path({"path": other})
    with pytest.raises(UnreadableUpload, match="The image is missing"):
        uploaded_path(None)
