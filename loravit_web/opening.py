"""Opening of the web app: the base is loaded while Gradio is imported and the page is built."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from loravit_web.backbones.timm_import import import_timm
from loravit_web.service import Service
from loravit_web.serving.answerer import Answerer
from loravit_web.settings.environment import Settings
from loravit_web.settings.temporary import check_temporary_folder
from loravit_web.util.console import progress_printer
from loravit_web.util.cores import gather_cores, release_cores
from loravit_web.util.heap import resume_collection

if TYPE_CHECKING:
    from loravit_web.ui.launch import App


def open_app(settings: Settings) -> App:
    """Load the base and every adapter, start to watch the queue, and build the page.

    Raises:
        LoraVitError: If the base, the data folder or the folder for temporary files cannot be used.
        RegistryError: If the registry cannot be used.
    """
    if settings.uploads is not None:
        check_temporary_folder(settings.uploads)  # before the base is loaded, which takes seconds
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    with ExitStack() as unless_opened:
        gather_cores()
        unless_opened.callback(release_cores)
        replicas = ExitStack()
        unless_opened.callback(replicas.close)
        service = Service(settings, progress=progress_printer(), answerer=_answerer(settings, replicas))
        unless_opened.callback(service.close)
        service.at_close(replicas.close)
        service.recover()  # before the check of the members, who may be restored from a snapshot
        service.members.check(mode=settings.mode, hub=settings.hub_roles.enabled)
        import_timm()  # before the threads: two of them must not import what both need
        with ThreadPoolExecutor(1, "start") as pool:
            started = pool.submit(service.start)
            from loravit_web.ui.launch import App  # half of the start, most of it on one core

            app = App.over(service, translated=True)
            started.result()
        unless_opened.pop_all()
    resume_collection()
    return app


def _answerer(settings: Settings, replicas: ExitStack) -> Answerer | None:
    """Return the replicas of a Ray cluster if the settings say so; the stack ends the connection."""
    if settings.serving == "local":
        return None
    from loravit_web.cluster.guide import asking

    return replicas.enter_context(asking(settings))


def serve(settings: Settings, *, host: str | None = None, port: int | None = None) -> None:
    """Start the app and serve until it is stopped."""
    open_app(settings).launch(host=host, port=port)
