"""Start and stop of the web app."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import gradio as gr
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from loravit_web.access.sessions import Sessions
from loravit_web.access.sign_in import SignInDesk
from loravit_web.errors import LoraVitError
from loravit_web.expiry import SERVED, served_folder
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.ui.app import build_app
from loravit_web.ui.gate.arrivals import LOOPBACK, Arrivals
from loravit_web.ui.gate.connections import most_connections, served_through
from loravit_web.ui.gate.gate import Gate, House
from loravit_web.ui.gate.headers import security_headers
from loravit_web.ui.gate.health import Health
from loravit_web.ui.gate.hub_session import EndedOnTheHub
from loravit_web.ui.gate.info import OwnInfo
from loravit_web.ui.gate.passing import MIB, PassingFiles
from loravit_web.ui.gate.signing_in import Cookies, SigningIn
from loravit_web.ui.gate.uploads import Uploads
from loravit_web.ui.kit.callers import Caller
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.kit.uploads import upload_folder
from loravit_web.ui.kit.visitors import admit, guest_name
from loravit_web.ui.kit.waiting import QUEUE_FULL
from loravit_web.ui.language.texts import ENGLISH, LANGUAGES, _, speaking
from loravit_web.ui.page.head import page_head
from loravit_web.ui.page.preview import ICON, tags_of
from loravit_web.ui.patches.assets import GRADIO_ASSETS, KeptAssets
from loravit_web.ui.patches.compressed import CompressedEvents
from loravit_web.ui.patches.kept_page import KeptPage
from loravit_web.ui.patches.page_texts import PageTexts, kept_texts, texts_in
from loravit_web.ui.patches.quiet import calm_queue
from loravit_web.ui.patches.refusals import handlers
from loravit_web.ui.patches.routes_once import routes_at_launch
from loravit_web.ui.patches.server import UNCHECKED_PAGE, is_starting, path_prefix
from loravit_web.ui.patches.sessions import use_light_sessions
from loravit_web.util.addresses import TrustedProxies
from loravit_web.util.cores import release_cores
from loravit_web.util.periodic import Periodic

_FOLDER_VARIABLE = "GRADIO_TEMP_DIR"
_SWEEP_SECONDS = 60.0
NO_LANGUAGES: Mapping[str, PageTexts] = MappingProxyType({})
STYLES = ("style.css", "use.css", "train.css", "catalog.css")
"""Style sheets of the page, in the order in which they apply."""


class AddressUnavailable(LoraVitError):
    """An address on which the app cannot listen."""


def gradio_words() -> gr.I18n:
    """Return words of buttons that Gradio does not know in every language, and would show as their keys."""
    words = {}
    for language in LANGUAGES:
        with speaking(language):
            words[language] = {"common.webcam": _("Camera"), "common.upload": _("Upload")}
    return gr.I18n(**words)


@dataclass(frozen=True)
class App:
    """A service and its page.

    Attributes:
        service: Service.
        demo: Page, as Gradio's Blocks.
        presence: Registry of the open pages.
        passing: Folder of uploads and of files that the page shows.
        languages: Texts of the page in each language but English, by its code.
    """

    service: Service
    demo: gr.Blocks
    presence: Presence
    passing: PassingFiles
    languages: Mapping[str, PageTexts]

    @classmethod
    def over(cls, service: Service, *, translated: bool = False) -> App:
        """Build the page of a service; `launch` starts it, and `close` closes both.

        Until `close`, ``GRADIO_TEMP_DIR`` is the app's own folder, because Gradio stores all files there.

        Args:
            service: Service that the page uses.
            translated: Whether the page speaks every language, and not only English.
        """
        passing = open_passing_files(service.settings)
        before = os.environ.get(_FOLDER_VARIABLE)
        os.environ[_FOLDER_VARIABLE] = str(passing.folder)
        service.at_close(lambda: _restore(before))
        service.at_close(passing.close)
        sweep = Periodic("uploads", passing.sweep, _SWEEP_SECONDS)
        service.at_close(sweep.stop)
        sweep.start()
        presence = Presence()
        with nullcontext() if service.settings.plain_gradio else routes_at_launch():
            demo = build_app(service, presence)
        languages = page_languages(service, demo) if translated else NO_LANGUAGES
        return cls(service, demo, presence, passing, languages)

    def launch(self, *, host: str | None = None, port: int | None = None, block: bool = True) -> str:
        """Start serving and print the URL.

        Args:
            host: Address to listen on, or None for Gradio's environment variable or default.
            port: Port, or None for the first free one from 7860.
            block: Whether to return only after the server stopped.

        Returns:
            The URL.

        Raises:
            AddressUnavailable: If the app cannot listen on the address.
        """
        plain, waiting = self.service.settings.plain_gradio, self.service.settings.limits.waiting
        with nullcontext() if plain else routes_at_launch():
            self.demo.queue(max_size=waiting)
        if not plain:
            calm_queue(self.demo)
        try:
            url = self._listen(host, port)
        except OSError as error:
            self.close()
            where = f"port {port}" if port else "a free port from 7860 on"
            raise AddressUnavailable(
                f"The app cannot listen on {where} of {host or '127.0.0.1'}. "
                "Choose another port: python -m loravit_web serve --port N."
            ) from error
        print(f"LoRA-ViT Web is ready: {url}", flush=True)  # noqa: T201 - users wait for this line
        self.service.preload()
        if block:
            # An orderly end, as by a restart of the machine, leaves a running training resumable.
            signal.signal(signal.SIGTERM, _end)
            try:
                self.demo.block_thread()
            finally:
                self.close()
        return url

    def _listen(self, host: str | None, port: int | None) -> str:
        inner: list[Middleware] = []
        if self.service.settings.mode == "team" and not self._passwords:
            inner.append(Middleware(EndedOnTheHub))
        with served_through(lambda app: self._gate(app, host)):
            _, url, _ = self.demo.launch(
                server_name=host,
                server_port=port,
                prevent_thread_lock=True,
                quiet=True,
                show_error=False,
                theme=_theme(),
                css=_styles(),
                i18n=gradio_words(),
                head=page_head(plain=self.service.settings.plain_gradio),
                blocked_paths=[str(folder) for folder in self.service.private_folders],
                max_file_size=self.service.settings.upload_bytes,
                favicon_path=ICON,
                footer_links=["api"],
                run_history=False,
                enable_monitoring=False,
                app_kwargs={"exception_handlers": handlers(QUEUE_FULL), "middleware": inner},
                **UNCHECKED_PAGE,
            )
        if not self.service.settings.plain_gradio:
            use_light_sessions(self.demo)
        return str(url)

    def _gate(self, app: ASGIApp, host: str | None) -> Gate:
        """Return the gate in front of the app."""
        service, settings = self.service, self.service.settings
        prefix = path_prefix(self.demo)
        alone = settings.mode == "local"
        cookies = Cookies(service.secret, in_frame=settings.on_spaces, path=prefix or "/")
        signing_in = None
        if self._passwords:
            hours = settings.limits.session_hours
            sessions = Sessions(hours, security_stamp=service.members.security_stamp)
            desk = SignInDesk(service.members)
            service.at_close(desk.close)
            signing_in = SigningIn(sessions, desk, cookies, hours=hours)
        house = House(
            arrivals=Arrivals(
                proxies=TrustedProxies(settings.proxies),
                own_names=LOOPBACK if alone and _listens_at(host) in LOOPBACK else None,
                origins=settings.origins,
            ),
            cookies=cookies,
            headers=security_headers(on_spaces=settings.on_spaces),
            admit=partial(admit, service),
            guest_name=partial(guest_name, service.secret) if settings.mode == "demo" else None,
            signing_in=signing_in,
            uploads=Uploads(self.passing, settings.upload_bytes),
            presence=self.presence,
            folder=self.passing.folder,
            prefix=prefix,
            most_of_one=None if alone else most_connections() // 2,
            health=Health.of(service),
            is_starting=partial(is_starting, self.demo),
            owns=self._owns,
        )
        described = OwnInfo(app, prefix)
        if settings.plain_gradio:
            return Gate(described, house)
        kept = KeptPage(described, partial(tags_of, service), self.languages, prefix)
        return Gate(CompressedEvents(KeptAssets(kept, GRADIO_ASSETS, prefix)), house)

    def _owns(self, caller: Caller, file: Path) -> bool:
        """Return whether a caller may fetch a file. Visitors of a demo cannot fetch files of each other."""
        if caller.guest is None:
            return True
        inside = file.relative_to(self.passing.folder)
        if inside.parts[:1] == (SERVED,):
            return inside.is_relative_to(served_folder(caller.guest))
        return self.passing.owner_of(file) in (None, caller.guest)

    @property
    def _passwords(self) -> bool:
        settings = self.service.settings
        return settings.mode == "team" and not settings.hub_roles.enabled

    def close(self) -> None:
        """Stop the server and the worker."""
        self.demo.close(verbose=False)
        self.service.close()
        release_cores()


def _end(*_: object) -> None:
    """End the app. Further signals are ignored, because they would interrupt the end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def page_languages(service: Service, english: gr.Blocks) -> dict[str, PageTexts]:
    """Return the texts of the page in each language but English, by its code.

    The page is built once for each, before the app starts: Gradio cannot build one while it answers events.
    At the next start of the same page the texts are read from a file.

    Args:
        service: Service that the page uses.
        english: The page in English.
    """
    if service.settings.plain_gradio:  # its page stays English
        return {}
    source = texts_in(english.get_config_file(), ENGLISH, page_head())

    def built(language: str) -> PageTexts:
        with speaking(language):
            return texts_in(build_app(service, Presence()).get_config_file(), language, page_head())

    return {
        language: kept_texts(
            service.settings.page_texts(language), source, Path(__file__).parent, partial(built, language)
        )
        for language in LANGUAGES.keys() - {ENGLISH}
    }


def open_passing_files(settings: Settings) -> PassingFiles:
    """Open the folder of uploads and shown files, with the limits from the settings."""
    limits, rules = settings.limits, settings.demo
    most, of_one, minutes = limits.uploads_mib * MIB, limits.visitor_mib * MIB, float(limits.upload_minutes)
    if settings.mode == "demo":
        most, of_one = min(most, int(rules.total_mib * MIB)), min(of_one, int(rules.mib * MIB))
        minutes = min(minutes, rules.hours * 60)
    elif settings.mode == "local":
        of_one = most
    parent = settings.uploads or upload_folder()
    return PassingFiles(parent, most=most, most_of_one=min(of_one, most), seconds=minutes * 60)


def _restore(folder: str | None) -> None:
    if folder is None:
        os.environ.pop(_FOLDER_VARIABLE, None)
    else:
        os.environ[_FOLDER_VARIABLE] = folder


def _listens_at(host: str | None) -> str:
    """Return the address on which Gradio will listen."""
    return host or os.environ.get("GRADIO_SERVER_NAME", LOOPBACK[0])


def _styles() -> str:
    """Return the styles of the page, without indentation and lines of comments."""
    text = "\n".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in STYLES)
    lines = map(str.strip, text.splitlines())
    return "\n".join(line for line in lines if line and not (line.startswith("/*") and line.endswith("*/")))


def _theme() -> gr.themes.Base:
    """Return Gradio's default theme with system fonts, so that no fonts are downloaded."""
    theme = gr.themes.Default(
        primary_hue="indigo", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return theme.set(  # Gradio's colors have too little contrast for WCAG AA
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_cancel_background_fill="#dc2626",  # there is no palette of this name
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_500",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
    )
