from __future__ import annotations

import socket

import pytest

from loravit_web.service import Service
from loravit_web.settings import Settings
from loravit_web.ui.app import build_app
from loravit_web.ui.launch import AddressUnavailable, App
from tests.conftest import tiny_base


def test_a_busy_port_is_one_sentence(settings: Settings) -> None:
    service = Service(settings, load=lambda name, _folder, _progress: tiny_base(name=name))
    app = App(service, build_app(service))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnavailable, match=f"port {port} of 127.0.0.1.*choose another"):
            app.launch(host="127.0.0.1", port=port, block=False)
