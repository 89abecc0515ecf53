"""Where data lies and what is loaded: the environment, read once into one frozen value."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args
from urllib.parse import urlsplit
from urllib.request import url2pathname

from loravit_web.errors import LoraVitError
from loravit_web.settings.limits import DEFAULTS, Limits, read_limits
from loravit_web.settings.modes import DemoRules, HubRoles, Mode
from loravit_web.settings.quota import GIB, Quota
from loravit_web.util.addresses import TrustedProxies, UnusableNetwork

BUCKET = Path("/data")
"""Where a Space's storage bucket is mounted by custom."""
A_YEAR = 60.0 * 24 * 365
PLAIN_GRADIO = "LORAVIT_PLAIN_GRADIO"
LOCAL_PROXIES = "127.0.0.1,::1"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?")


class SettingsError(LoraVitError):
    """An environment variable holds a value that can't be used."""


@dataclass(frozen=True)
class Settings:
    """Everything that the environment decides.

    Attributes:
        home: the folder of all data. Only uploads pass through another one, Gradio's.
        base: the base to preload: ``embedded`` or a timm model name.
        artifact_url: where published files go instead of a folder in ``home``; a folder or an address of
            fsspec.
        uploads: Gradio's folder of what goes in and out through the page, where that is known.
        snapshot_url: where the registry is saved while the app runs; a folder or an address of fsspec.
        snapshot_minutes: between snapshots while only runs change.
        ephemeral: whether the disk of ``home`` is emptied when the app restarts.
        bundled: whether the adapters that come with the app are put into the catalog.
        database: SQLAlchemy URL of another database than the file in ``home``; never shown, as it may hold
            a password.
        limits: the most of everything that a visitor can ask for.
        mode: ``local`` for one person with all rights, ``team`` for people who sign in, ``demo`` for the
            public.
        hub_roles: what people may do who sign in through the Hugging Face Hub.
        demo: what visitors of a demo may train.
        proxies: addresses and networks whose forwarding headers are believed, as `addresses.TrustedProxies`.
        origins: other sites whose pages may send requests, as ``https://host``.
        on_spaces: whether the app runs on a Hugging Face Space.
        plain_gradio: whether Gradio runs without what makes it faster, to tell its faults from the app's.
    """

    home: Path
    base: str = "embedded"
    artifact_url: str | None = None
    uploads: Path | None = None
    database: str | None = field(default=None, repr=False)
    bundled: bool = True
    snapshot_url: str | None = None
    snapshot_minutes: float = 15.0
    ephemeral: bool = False
    limits: Limits = DEFAULTS
    mode: Mode = "local"
    hub_roles: HubRoles = field(default_factory=HubRoles)
    demo: DemoRules = field(default_factory=DemoRules)
    proxies: str = LOCAL_PROXIES
    origins: frozenset[str] = frozenset()
    on_spaces: bool = False
    plain_gradio: bool = False

    def made(self) -> Settings:
        """Itself, once the folder of all data exists.

        Raises:
            SettingsError: if it can't be created.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The data folder {self.home} can't be created ({error.strerror}): let LORAVIT_HOME name a "
                "folder that can be written."
            ) from error
        return self

    @property
    def quota(self) -> Quota:
        """How much the folder of all data may hold."""
        return Quota(self.home, self.limits.disk_gib * GIB)

    @property
    def bases(self) -> Path:
        """Converted weights of bases."""
        return self.home / "bases"

    @property
    def datasets(self) -> Path:
        """Imported images, one folder per dataset fingerprint."""
        return self.home / "datasets"

    @property
    def artifacts(self) -> Path | str:
        """The store of published files by content: a folder or an address."""
        return self.artifact_url or self.home / "artifacts"

    @property
    def artifact_cache(self) -> Path:
        """Copies of published files from a store elsewhere; safe to delete."""
        return self.home / "cache" / "artifacts"

    @property
    def backups(self) -> Path:
        """What a restored backup took the place of."""
        return self.home / "backups"

    @property
    def snapshot_folder(self) -> Path | None:
        """Where snapshots are, if that is on this machine."""
        address = self.snapshot_url or ""
        parts = urlsplit(address)
        if address and "://" not in address:
            return Path(address)
        return Path(url2pathname(parts.path)) if parts.scheme in ("file", "local") else None

    @property
    def snapshot_scratch(self) -> Path:
        """A snapshot on its way; safe to delete."""
        return self.home / "cache" / "snapshots"

    @property
    def upload_bytes(self) -> int:
        """Size of one uploaded file."""
        most = self.limits.upload_bytes
        return min(most, int(self.demo.mib * 1024**2)) if self.mode == "demo" else most

    @property
    def restart_loses(self) -> bool:
        """Whether what is published here is gone after a restart."""
        elsewhere = self.database is not None and self.artifact_url is not None
        return self.ephemeral and self.snapshot_url is None and not elsewhere

    @property
    def work(self) -> Path:
        """Checkpoints and token caches of runs; safe to delete while nothing trains."""
        return self.home / "work"

    @property
    def run_logs(self) -> Path:
        """A file per run with what happened in it."""
        return self.home / "logs" / "runs"

    @property
    def worker_log(self) -> Path:
        """What training workers print."""
        return self.home / "logs" / "worker.log"

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the registry; never shown, as it may hold a password."""
        return self.database or f"sqlite:///{self.home / 'registry.db'}"


def read_settings(
    environ: Mapping[str, str], *, is_mount: Callable[[Path], bool] = Path.is_mount
) -> Settings:
    """Turn an environment into `Settings`.

    On Hugging Face Spaces the registry is saved in the bucket that is mounted at `BUCKET`, if there is one.

    Args:
        is_mount: whether a folder has a disk of its own.

    Raises:
        SettingsError, LimitUnusable: if ``LORAVIT_HOME`` names something that is not a folder, or a value
            can't be used.
    """
    on_spaces = environ.get("SYSTEM") == "spaces"
    bucket = str(BUCKET / "loravit-web") if on_spaces and is_mount(BUCKET) else None
    home = Path(environ.get("LORAVIT_HOME") or "~/.loravit-web").expanduser().resolve()
    if home.exists() and not home.is_dir():
        raise SettingsError(f"LORAVIT_HOME points to {home}, which is a file: name a folder instead.")
    mode = _mode(environ)
    signs_in = bool(environ.get("OAUTH_CLIENT_ID"))
    if signs_in and mode == "team" and not (on_spaces and environ.get("SPACE_ID")):
        raise SettingsError(
            "OAUTH_CLIENT_ID is set outside of a Hugging Face Space, where everyone is signed in as the "
            "owner of this machine's Hub token. Unset it, and let people sign in with passwords."
        )
    return Settings(
        home=home,
        base=environ.get("LORAVIT_BASE") or "embedded",
        artifact_url=_address(environ.get("LORAVIT_ARTIFACT_URL")),
        uploads=Path(environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio"),
        database=environ.get("LORAVIT_DATABASE_URL") or None,
        bundled=_switch(environ, "LORAVIT_BUNDLED", default=True),
        snapshot_url=_address(environ.get("LORAVIT_SNAPSHOT_URL")) or bucket,
        snapshot_minutes=min(_number(environ, "LORAVIT_SNAPSHOT_MINUTES", 15.0), A_YEAR),
        # the disk of a Space's own is emptied, one that is mounted into it is not
        ephemeral=on_spaces and not any(is_mount(folder) for folder in (home, *home.parents[:-1])),
        limits=read_limits(environ),
        mode=mode,
        hub_roles=HubRoles(
            enabled=signs_in,
            admins=_names(environ, "LORAVIT_ADMINS") | _names(environ, "SPACE_AUTHOR_NAME"),
            editors=_names(environ, "LORAVIT_EDITORS"),
        ),
        demo=DemoRules(
            training=_switch(environ, "LORAVIT_DEMO_TRAINING", default=False),
            classes=int(_number(environ, "LORAVIT_DEMO_CLASSES", DemoRules.classes)),
            images=int(_number(environ, "LORAVIT_DEMO_IMAGES", DemoRules.images)),
            minutes=_number(environ, "LORAVIT_DEMO_MINUTES", DemoRules.minutes),
            runs=int(_number(environ, "LORAVIT_DEMO_RUNS", DemoRules.runs)),
            hours=_number(environ, "LORAVIT_DEMO_HOURS", DemoRules.hours),
            datasets=int(_number(environ, "LORAVIT_DEMO_DATASETS", DemoRules.datasets)),
            mib=_number(environ, "LORAVIT_DEMO_MIB", DemoRules.mib),
            total_mib=_number(environ, "LORAVIT_DEMO_TOTAL_MIB", DemoRules.total_mib),
        ),
        proxies=_proxies(environ),
        origins=_origins(environ),
        on_spaces=on_spaces,
        plain_gradio=_switch(environ, PLAIN_GRADIO, default=False),
    )


def wants_plain_gradio(environ: Mapping[str, str]) -> bool:
    """Whether `PLAIN_GRADIO` says yes. `read_settings` refuses a value that is neither yes nor no."""
    return environ.get(PLAIN_GRADIO, "").strip().lower() == "yes"


def _mode(environ: Mapping[str, str]) -> Mode:
    """What is asked for; on a Space, which anybody may reach, a demo unless something else is."""
    given = environ.get("LORAVIT_MODE", "").strip().lower()
    if not given:
        return "demo" if environ.get("SYSTEM") == "spaces" else "local"
    for mode in get_args(Mode):
        if given == mode:
            return cast(Mode, mode)
    raise SettingsError(f"LORAVIT_MODE is {given}: set it to {', '.join(get_args(Mode))}.")


def _proxies(environ: Mapping[str, str]) -> str:
    """What uvicorn's own variable names, by which other servers in Python are told the same."""
    given = environ.get("FORWARDED_ALLOW_IPS", "").strip() or LOCAL_PROXIES
    try:
        TrustedProxies(given)
    except UnusableNetwork as error:
        raise SettingsError(
            f"FORWARDED_ALLOW_IPS names {error}, which is neither an address nor a network. Set it to the "
            "addresses of your proxies, such as 10.0.0.7,10.1.0.0/16."
        ) from error
    return given


def _origins(environ: Mapping[str, str]) -> frozenset[str]:
    found = _names(environ, "LORAVIT_ORIGINS")
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"LORAVIT_ORIGINS names {origin!r}, which is not an origin. Set it to origins such "
                "as https://example.org, separated by commas."
            )
    space = environ.get("SPACE_HOST", "").partition(",")[0].strip()
    return found | ({f"https://{space}"} if space else set())


def _names(environ: Mapping[str, str], name: str) -> frozenset[str]:
    return frozenset(one.strip() for one in environ.get(name, "").split(",") if one.strip())


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    given = environ.get(name, "").strip()
    if not given:
        return default
    try:
        number = float(given)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise SettingsError(f"{name} is {given}: set it to a number above 0.")
    return number


def _switch(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    given = environ.get(name, "").strip().lower()
    if given not in ("", "yes", "no"):
        raise SettingsError(f"{name} is {given}: set it to yes or no.")
    return default if not given else given == "yes"


def _address(given: str | None) -> str | None:
    """An address as it is, a folder made absolute: the worker may start elsewhere."""
    if not given or "://" in given:
        return given or None
    return str(Path(given).expanduser().resolve())
