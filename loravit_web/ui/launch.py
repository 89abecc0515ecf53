"""Starting and stopping the web app."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from gradio.queueing import Queue
from starlette.middleware import Middleware

from loravit_web.console import progress_teller
from loravit_web.cores import gather_cores, release_cores
from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.settings import Settings
from loravit_web.ui import address, again, arrival, ask, assets, keys, pulse, unwatched
from loravit_web.ui.app import build_app
from loravit_web.ui.assets import GRADIO_ASSETS, KeptAssets
from loravit_web.ui.gate import LOOPBACK, OwnNames, StillMembers
from loravit_web.ui.kept_page import KeptPage
from loravit_web.ui.refusals import handlers
from loravit_web.ui.sessions import LightSessions
from loravit_web.ui.visitors import sign_in

_SCRIPTS = (assets, arrival, address, again, ask, unwatched, keys, pulse)
_QUEUE_SECONDS = 0.01
"""Between two looks at Gradio's queue; its own thousand a second take a tenth of a core, all day."""


class AddressUnavailable(LoraVitError):
    """Somebody else listens there."""


@dataclass(frozen=True)
class App:
    """A service and its page."""

    service: Service
    demo: gr.Blocks

    def launch(self, *, host: str | None = None, port: int | None = None, block: bool = True) -> str:
        """Start serving and print the URL.

        Args:
            host: address to listen on; Gradio's own default, or its environment variable, when None.
            port: port; the first free one from 7860 when None.
            block: return only when the server is stopped.

        Returns:
            The URL.
        """
        self.demo.queue(max_size=self.service.settings.limits.waiting)
        _quiet(self.demo._queue)
        try:
            url = self._listen(host, port)
        except OSError as error:
            self.close()
            where = f"port {port}" if port else "a free port from 7860 on"
            raise AddressUnavailable(
                f"The app can't listen on {where} of {host or '127.0.0.1'}, most likely because another "
                "program does: choose another port with python -m loravit_web serve --port N."
            ) from error
        print(f"LoRA-ViT Web is ready: {url}", flush=True)  # noqa: T201 - the one line a user waits for
        if block:
            # A polite end (Ctrl-C, a restart of the machine) leaves a run in progress resumable.
            signal.signal(signal.SIGTERM, _end)
            try:
                self.demo.block_thread()
            finally:
                self.close()
        return url

    def _listen(self, host: str | None, port: int | None) -> str:
        _, url, _ = self.demo.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            show_error=False,
            theme=_theme(),
            css_paths=[Path(__file__).with_name("style.css")],
            head="".join(one.SCRIPT for one in _SCRIPTS),
            auth=sign_in(self.service) if self._passwords else None,  # type: ignore[arg-type]  # it is awaited
            auth_message="Sign in with the name and password that your admin gave you.",
            blocked_paths=[str(folder) for folder in self.service.private_folders],
            max_file_size=self.service.settings.upload_bytes,
            footer_links=["api"],
            run_history=False,
            enable_monitoring=False,
            app_kwargs={
                "exception_handlers": handlers(),
                "middleware": self._middleware(host),
            },
        )
        self.demo.app.state_holder = LightSessions(self.demo)
        return str(url)

    def _middleware(self, host: str | None) -> list[Middleware]:
        kept = [Middleware(KeptAssets, folder=GRADIO_ASSETS)]
        if self._passwords:
            return [*kept, Middleware(StillMembers, members=self.service.members)]
        if self.service.settings.mode == "local" and _listens_at(host) in LOOPBACK:
            kept.insert(0, Middleware(OwnNames, names=LOOPBACK))
        return [*kept, Middleware(KeptPage)]

    @property
    def _passwords(self) -> bool:
        settings = self.service.settings
        return settings.mode == "team" and not settings.hub_roles.enabled

    def close(self) -> None:
        """Stop serving and end the worker."""
        self.demo.close(verbose=False)
        self.service.close()
        release_cores()


def _end(*_: object) -> None:
    """End the app, once: asked again while it ends, it would break off in the middle."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def _quiet(queue: Queue) -> None:
    """Spare it the work that nobody asked for."""
    queue.sleep_when_free = _QUEUE_SECONDS
    # For a monitoring page, which is off here, it computes a table of its last 10,000 events at every event.
    queue.ANALYTICS_MAX_EVENTS = 1
    queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize  # spelled so there


def open_app(settings: Settings) -> App:
    """Load the base and every adapter, begin to watch the queue, and build the page.

    Raises:
        LoraVitError, RegistryError: if the base or the data folder can't be used.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    with ExitStack() as unless_opened:
        gather_cores()
        unless_opened.callback(release_cores)
        service = Service(settings, progress=progress_teller())
        unless_opened.callback(service.close)
        service.recover()  # who may sign in, too
        service.members.check(mode=settings.mode, hub=settings.hub_roles.enabled)
        service.start()
        app = App(service, build_app(service))
        unless_opened.pop_all()
    return app


def serve(settings: Settings, *, host: str | None = None, port: int | None = None) -> None:
    """Start the app and serve until it is stopped."""
    open_app(settings).launch(host=host, port=port)


def _listens_at(host: str | None) -> str:
    """The address that Gradio will listen on."""
    return host or os.environ.get("GRADIO_SERVER_NAME", LOOPBACK[0])


def _theme() -> gr.themes.Base:
    """Gradio's default look in the reader's own fonts, so that nothing is fetched for it."""
    theme = gr.themes.Default(
        primary_hue="indigo", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return theme.set(  # Gradio's own grey is too pale to be read by everybody
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
    )
