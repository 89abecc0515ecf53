"""The environment variables of the app, read once into a frozen dataclass."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sqlalchemy import URL

from loravit_web.errors import LoraVitError
from loravit_web.settings.limits import DEFAULTS, Limits, read_limits
from loravit_web.settings.modes import DemoRules, Engine, Executor, HubRoles, Mode, Serving
from loravit_web.settings.quota import GIB, Quota
from loravit_web.util.addresses import TrustedProxies, UnusableNetwork

BUCKET = Path("/data")
"""Default mount point of a Space's storage bucket."""
YEAR_MINUTES = 60.0 * 24 * 365
"""Minutes of a year."""
PLAIN_GRADIO = "LORAVIT_PLAIN_GRADIO"
"""Variable that turns off the app's changes of Gradio."""
LOCAL_PROXIES = "127.0.0.1,::1"
"""Proxies that are trusted by default."""
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?")


class SettingsError(LoraVitError):
    """An environment variable with an invalid value."""


@dataclass(frozen=True)
class Settings:
    """All settings of the app.

    Attributes:
        home: Folder of all data. Only uploads use another folder, that of Gradio.
        base: Base to preload: ``embedded`` or the name of a timm model.
        device: Device of answers and training: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``. ``auto``
            is the first GPU of CUDA if there is one, else the CPU.
        engine: What computes few images on a CPU: ``torch``, ``openvino``, or the faster one with ``auto``.
        artifact_url: Store of published files instead of a folder in ``home``: a folder, or an address for
            fsspec.
        uploads: Gradio's folder of files that are transferred through the page, or None if unknown.
        database: SQLAlchemy URL of a database other than the file in ``home``. Never shown, because it may
            contain a password.
        bundled: Whether the adapters that come with the app are added to the catalog.
        snapshot_url: Storage of the registry's snapshots: a folder, or an address for fsspec.
        snapshot_minutes: Minutes between snapshots while only runs change.
        ephemeral: Whether the disk of ``home`` is emptied when the app restarts.
        limits: Limits of everything that a visitor can request.
        mode: ``local`` for one person with all rights, ``team`` for people who sign in, ``demo`` for the
            public.
        hub_roles: Roles of people who sign in through the Hugging Face Hub.
        demo: What visitors of a demo may train.
        proxies: Addresses and networks whose forwarding headers are trusted; see `addresses.TrustedProxies`.
        origins: Other sites whose pages may send requests, as ``https://host``.
        on_spaces: Whether the app runs on a Hugging Face Space.
        executor: Where runs are trained: ``local`` on this machine, ``workers`` on every node, ``ray`` on a
            cluster.
        serving: Where answers are computed: ``local`` in the app, ``ray`` on the replicas of a cluster.
        metrics_token: Token with which metrics are read outside of local mode; without one they are hidden.
        plain_gradio: Whether Gradio runs without the app's optimizations, to tell its faults from the app's.
    """

    home: Path
    base: str = "embedded"
    device: str = "cpu"
    engine: Engine = "auto"
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
    executor: Executor = "local"
    serving: Serving = "local"
    metrics_token: str = field(default="", repr=False)
    plain_gradio: bool = False

    def ensure_home(self) -> Settings:
        """Create the data folder if it does not exist, and return the settings.

        Raises:
            SettingsError: If the folder cannot be created.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The data folder {self.home} cannot be created ({error.strerror}). Set LORAVIT_HOME to a "
                "folder that can be written."
            ) from error
        return self

    @property
    def take_ups(self) -> int:
        """How often a run whose worker is gone is continued without a person; never on one machine alone."""
        return 0 if self.executor == "local" else self.limits.take_ups

    @property
    def quota(self) -> Quota:
        """How much the folder of all data may hold."""
        return Quota(self.home, self.limits.disk_gib * GIB)

    @property
    def bases(self) -> Path:
        """Folder of the converted weights of bases."""
        return self.home / "bases"

    @property
    def measurements(self) -> Path:
        """File of the choices that were measured on this machine; safe to delete."""
        return self.home / "cache" / "machine.json"

    def page_texts(self, language: str) -> Path:
        """Return the file of the page's texts in a language; safe to delete."""
        return self.home / "cache" / f"page-{language}.json"

    @property
    def datasets(self) -> Path:
        """Folder of the imported images, with a folder per dataset fingerprint."""
        return self.home / "datasets"

    @property
    def pools(self) -> Path:
        """Folder of the images without labels, with a folder per task."""
        return self.home / "pools"

    @property
    def artifacts(self) -> Path | str:
        """Content-addressed store of published files: a folder or an address."""
        return self.artifact_url or self.home / "artifacts"

    @property
    def artifact_cache(self) -> Path:
        """Folder of local copies of published files; safe to delete."""
        return self.home / "cache" / "artifacts"

    @property
    def packages(self) -> Path:
        """Folder of downloaded packages that exported pages contain; safe to delete."""
        return self.home / "cache" / "packages"

    @property
    def backups(self) -> Path:
        """Folder of the data that a restored backup replaced."""
        return self.home / "backups"

    @property
    def snapshot_folder(self) -> Path | None:
        """Folder of the snapshots if it is on this machine, or None."""
        address = self.snapshot_url or ""
        parts = urlsplit(address)
        if address and "://" not in address:
            return Path(address)
        return Path(url2pathname(parts.path)) if parts.scheme in ("file", "local") else None

    @property
    def snapshot_scratch(self) -> Path:
        """Folder of a snapshot that is being written; safe to delete."""
        return self.home / "cache" / "snapshots"

    @property
    def upload_bytes(self) -> int:
        """Maximum size of an uploaded file in bytes."""
        most = self.limits.upload_bytes
        return min(most, int(self.demo.mib * 1024**2)) if self.mode == "demo" else most

    @property
    def restart_loses(self) -> bool:
        """Whether published data is lost at a restart."""
        elsewhere = self.database is not None and self.artifact_url is not None
        return self.ephemeral and self.snapshot_url is None and not elsewhere

    @property
    def work(self) -> Path:
        """Folder of the runs' checkpoints and prefix tokens; safe to delete while nothing trains."""
        return self.home / "work"

    @property
    def run_logs(self) -> Path:
        """Folder of the logs of runs."""
        return self.home / "logs" / "runs"

    @property
    def worker_log(self) -> Path:
        """Log of the training workers."""
        return self.home / "logs" / "worker.log"

    @property
    def database_url(self) -> str | URL:
        """SQLAlchemy URL of the registry. Never shown, because it may contain a password."""
        # not as text, in which %, ? and # of the folder would have a meaning
        return self.database or URL.create("sqlite", database=str(self.home / "registry.db"))


def read_settings(
    environ: Mapping[str, str], *, is_mount: Callable[[Path], bool] = Path.is_mount
) -> Settings:
    """Return the settings of an environment.

    On Hugging Face Spaces the registry is saved in the bucket that is mounted at `BUCKET`, if there is one.

    Args:
        environ: Environment variables.
        is_mount: Returns whether a folder is a mount point.

    Raises:
        SettingsError: If a value is invalid.
        InvalidLimit: If a limit is invalid.
    """
    on_spaces = environ.get("SYSTEM") == "spaces"
    bucket = str(BUCKET / "loravit-web") if on_spaces and is_mount(BUCKET) else None
    home = Path(environ.get("LORAVIT_HOME") or "~/.loravit-web").expanduser().resolve()
    if home.exists() and not home.is_dir():
        raise SettingsError(f"LORAVIT_HOME is {home}, which is a file. Set it to a folder.")
    mode = _mode(environ)
    signs_in = bool(environ.get("OAUTH_CLIENT_ID"))
    if signs_in and mode == "team" and not (on_spaces and environ.get("SPACE_ID")):
        raise SettingsError(
            "OAUTH_CLIENT_ID is set outside of a Hugging Face Space, where it would sign everyone in as the "
            "owner of this machine's Hub token. Unset it, and let people sign in with passwords."
        )
    database = environ.get("LORAVIT_DATABASE_URL") or None
    executor, serving = _executor(environ), _serving(environ)
    if mode == "team" and "ray" in (executor, serving) and not (database or "").startswith("postgresql"):
        raise SettingsError(
            "A team's app on a Ray cluster needs a PostgreSQL database. Set LORAVIT_DATABASE_URL, or set "
            "LORAVIT_EXECUTOR and LORAVIT_SERVING to local."
        )
    return Settings(
        home=home,
        base=environ.get("LORAVIT_BASE") or "embedded",
        device=_device(environ),
        engine=_engine(environ),
        artifact_url=_address(environ.get("LORAVIT_ARTIFACT_URL")),
        uploads=Path(environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio"),
        database=database,
        bundled=_switch(environ, "LORAVIT_BUNDLED", default=True),
        snapshot_url=_address(environ.get("LORAVIT_SNAPSHOT_URL")) or bucket,
        snapshot_minutes=min(_number(environ, "LORAVIT_SNAPSHOT_MINUTES", 15.0), YEAR_MINUTES),
        # a Space's own disk is emptied at a restart, a mounted disk is not
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
        executor=executor,
        serving=serving,
        metrics_token=environ.get("LORAVIT_METRICS_TOKEN", "").strip(),
        plain_gradio=_switch(environ, PLAIN_GRADIO, default=False),
    )


def wants_plain_gradio(environ: Mapping[str, str]) -> bool:
    """Whether `PLAIN_GRADIO` says yes. `read_settings` refuses a value that is neither yes nor no."""
    return environ.get(PLAIN_GRADIO, "").strip().lower() == "yes"


def _mode(environ: Mapping[str, str]) -> Mode:
    """Return the mode; by default a demo on a Space, which is public."""
    value = environ.get("LORAVIT_MODE", "").strip().lower()
    if not value:
        return "demo" if environ.get("SYSTEM") == "spaces" else "local"
    for mode in get_args(Mode):
        if value == mode:
            return cast(Mode, mode)
    raise SettingsError(f"LORAVIT_MODE is {value}. Set it to {', '.join(get_args(Mode))}.")


def _executor(environ: Mapping[str, str]) -> Executor:
    value = environ.get("LORAVIT_EXECUTOR", "").strip().lower() or "local"
    for executor in get_args(Executor):
        if value == executor:
            return cast(Executor, executor)
    raise SettingsError(f"LORAVIT_EXECUTOR is {value}. Set it to one of {', '.join(get_args(Executor))}.")


def _serving(environ: Mapping[str, str]) -> Serving:
    value = environ.get("LORAVIT_SERVING", "").strip().lower() or "local"
    for serving in get_args(Serving):
        if value == serving:
            return cast(Serving, serving)
    raise SettingsError(f"LORAVIT_SERVING is {value}. Set it to one of {', '.join(get_args(Serving))}.")


def _engine(environ: Mapping[str, str]) -> Engine:
    value = environ.get("LORAVIT_ENGINE", "").strip().lower() or "auto"
    for engine in get_args(Engine):
        if value == engine:
            return cast(Engine, engine)
    raise SettingsError(f"LORAVIT_ENGINE is {value}. Set it to one of {', '.join(get_args(Engine))}.")


def _device(environ: Mapping[str, str]) -> str:
    value = environ.get("LORAVIT_DEVICE", "").strip().lower() or "cpu"
    if not _DEVICE.fullmatch(value):
        raise SettingsError(f"LORAVIT_DEVICE is {value}. Set it to auto, cpu, cuda, cuda:N or mps.")
    on_zero_gpu = environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
    return "cpu" if value == "auto" and on_zero_gpu else value


def _proxies(environ: Mapping[str, str]) -> str:
    """Return the proxies of uvicorn's own variable, which other Python servers use too."""
    value = environ.get("FORWARDED_ALLOW_IPS", "").strip() or LOCAL_PROXIES
    try:
        TrustedProxies(value)
    except UnusableNetwork as error:
        raise SettingsError(
            f"FORWARDED_ALLOW_IPS contains {error}, which is not an address or a network. Set it to the "
            "addresses of your proxies, such as 10.0.0.7,10.1.0.0/16."
        ) from error
    return value


def _origins(environ: Mapping[str, str]) -> frozenset[str]:
    found = _names(environ, "LORAVIT_ORIGINS")
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"LORAVIT_ORIGINS contains {origin!r}, which is not an origin. Set it to origins such as "
                "https://example.org, separated by commas."
            )
    space = environ.get("SPACE_HOST", "").partition(",")[0].strip()
    return found | ({f"https://{space}"} if space else set())


def _names(environ: Mapping[str, str], name: str) -> frozenset[str]:
    return frozenset(item.strip() for item in environ.get(name, "").split(",") if item.strip())


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    value = environ.get(name, "").strip()
    if not value:
        return default
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise SettingsError(f"{name} is {value}. Set it to a number above 0.")
    return number


def _switch(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = environ.get(name, "").strip().lower()
    if value not in ("", "yes", "no"):
        raise SettingsError(f"{name} is {value}. Set it to yes or no.")
    return default if not value else value == "yes"


def _address(value: str | None) -> str | None:
    """Return an address unchanged, or a folder as an absolute path: the worker may start elsewhere."""
    if not value or "://" in value:
        return value or None
    return str(Path(value).expanduser().resolve())
