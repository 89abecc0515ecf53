"""Examination of a data folder with all checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from loravit_web.doctor import machine
from loravit_web.doctor.database import DATABASE, find_lost
from loravit_web.doctor.report import Check, Context, Finding, Report
from loravit_web.doctor.runs import RUNS, WORK
from loravit_web.doctor.search import SEARCH
from loravit_web.doctor.snapshots import SNAPSHOTS
from loravit_web.doctor.storage import LEFTOVERS, STORED
from loravit_web.settings.environment import Settings, SettingsError
from registry import Registry, RegistryError, database_file, utc_now

CHECKS = (DATABASE, SEARCH, STORED, LEFTOVERS, SNAPSHOTS, RUNS, WORK)


def examine(
    settings: Settings,
    *,
    mend: bool = False,
    checks: Sequence[Check] = CHECKS,
    clock: Callable[[], datetime] = utc_now,
) -> Report:
    """Run all checks. A missing registry is not created, but an old schema is upgraded, as by every command.

    Args:
        settings: Settings of the app.
        mend: Whether to repair what can be repaired safely, and to check again.
        checks: Checks of the registry.
        clock: Returns the current time.
    """
    findings = [
        *machine.programs(),
        machine.device(settings),
        machine.engine(settings),
        *machine.disk(settings),
        machine.base(settings),
    ]
    try:
        findings += find_lost(settings)
        if _has_catalog(settings):
            with Registry.open(
                settings.database_url, settings.artifacts, cache=settings.artifact_cache
            ) as registry:
                context = Context(settings, registry, clock())
                for check in checks:
                    findings += _findings(check, context, mend)
        else:
            findings.append(
                Finding("note", "registry", "none yet. It is created by the first training or import.")
            )
    except (SettingsError, RegistryError) as error:
        findings.append(Finding("problem", "registry", str(error)))
    return Report(tuple(findings))


def _has_catalog(settings: Settings) -> bool:
    """Return whether there is a registry; always True for a database server."""
    file = database_file(settings.database_url)
    return file is None or file.exists()


def _findings(check: Check, context: Context, mend: bool) -> Iterator[Finding]:
    """Run a check, and yield an error of the check as a problem so that the other checks still run."""
    try:
        findings = list(check.find(context))
        if mend and check.mend is not None and any(finding.state != "ok" for finding in findings):
            yield from (Finding("mended", check.subject, done) for done in check.mend(context))
            findings = list(check.find(context))
        yield from findings
    except (RegistryError, OSError) as error:
        yield Finding("problem", check.subject, str(error))
