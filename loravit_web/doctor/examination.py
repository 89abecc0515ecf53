"""Every check, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from loravit_web.doctor import machine
from loravit_web.doctor.database import DATABASE, find_lost
from loravit_web.doctor.report import Check, Finding, Patient, Report
from loravit_web.doctor.runs import RUNS, WORK
from loravit_web.doctor.search import SEARCH
from loravit_web.doctor.snapshots import SNAPSHOTS
from loravit_web.doctor.storage import LEFTOVERS, STORED
from loravit_web.settings.environment import Settings, SettingsError
from registry import Registry, RegistryError, utc_now

CHECKS = (DATABASE, SEARCH, STORED, LEFTOVERS, SNAPSHOTS, RUNS, WORK)


def examine(
    settings: Settings,
    *,
    mend: bool = False,
    checks: Sequence[Check] = CHECKS,
    clock: Callable[[], datetime] = utc_now,
) -> Report:
    """Look at everything; where there is no catalog yet none is made.

    Only opening the database may bring its schema up to date, as with every command.

    Args:
        mend: put right what can safely be put right, and look again.
    """
    findings = [*machine.programs(), *machine.disk(settings), machine.base(settings)]
    findings += find_lost(settings)
    try:
        if _has_catalog(settings):
            with Registry.open(
                settings.database_url, settings.artifacts, cache=settings.artifact_cache
            ) as registry:
                patient = Patient(settings, registry, clock())
                for check in checks:
                    findings += _carried_out(check, patient, mend)
        else:
            findings.append(Finding("note", "registry", "none yet: training or importing makes it"))
    except (SettingsError, RegistryError) as error:
        findings.append(Finding("problem", "registry", str(error)))
    return Report(tuple(findings))


def _has_catalog(settings: Settings) -> bool:
    """False only where a file that would hold it is not there."""
    scheme, _, file = settings.database_url.partition(":///")
    return scheme != "sqlite" or Path(file).exists()


def _carried_out(check: Check, patient: Patient, mend: bool) -> Iterator[Finding]:
    """A check that can't be carried out is a finding itself, and the others go on."""
    try:
        findings = list(check.find(patient))
        if mend and check.mend is not None and any(finding.state != "ok" for finding in findings):
            yield from (Finding("mended", check.subject, done) for done in check.mend(patient))
            findings = list(check.find(patient))
        yield from findings
    except (RegistryError, OSError) as error:
        yield Finding("problem", check.subject, str(error))
