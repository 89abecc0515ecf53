"""Copies for download."""

from __future__ import annotations

from datetime import timedelta

from loravit_web.doctor import examine
from loravit_web.settings import Settings
from registry import Registry
from tests.doctor.conftest import about, make_older, mended


def test_copies_older_than_a_day_are_removed_on_request_and_nothing_else(
    settings: Settings, registry: Registry
) -> None:
    assert settings.uploads is not None
    places = {
        "old": f"catalog/{'1' * 32}/pets-v1.zip",
        "picture": f"catalog/{'2' * 32}/thumbnail.webp",
        "young": f"catalog/{'3' * 32}/pets-v2.zip",
        "upload": f"{'4' * 32}/photo.png",
        "foreign": "catalog/mine/notes.txt",
    }
    files = {key: settings.uploads / place for key, place in places.items()}
    for key, file in files.items():
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x")
        if key != "young":
            make_older(file, timedelta(hours=25))
    (found,) = about(examine(settings), "downloads")
    assert (found.state, found.text[:8]) == ("note", "2 copies")
    report = examine(settings, mend=True)
    assert mended(report) == ["removed 2 copies for download older than a day"]
    assert {key for key, file in files.items() if file.exists()} == {"young", "upload", "foreign"}
    assert not files["old"].parent.exists()
