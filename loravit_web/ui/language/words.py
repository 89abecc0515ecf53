"""Words of the registry in the language of the visitor."""

from __future__ import annotations

from datetime import datetime

from loravit_web.ui.language.texts import _, gettext_noop, ngettext, numeral

_SPLITS = {
    "train": gettext_noop("train"),
    "validation": gettext_noop("validation"),
    "test": gettext_noop("test"),
}
_STATUSES = {
    "queued": gettext_noop("queued"),
    "running": gettext_noop("running"),
    "completed": gettext_noop("completed"),
    "failed": gettext_noop("failed"),
    "cancelled": gettext_noop("cancelled"),
    "interrupted": gettext_noop("interrupted"),
}


def split_name(split: str) -> str:
    """Return the name of a split."""
    return _(_SPLITS.get(split, split))


def status_name(status: str) -> str:
    """Return the name of the status of a run."""
    return _(_STATUSES.get(status, status))


def age(then: datetime, now: datetime) -> str:
    """Return how long ago something was, such as ``5 min ago``; the date after a month."""
    seconds = (now - then).total_seconds()
    if seconds < 60:
        return _("just now")
    if seconds < 3600:
        return _("{minutes} min ago", minutes=numeral(seconds // 60, ".0f"))
    if seconds < 86400:
        return _("{hours} h ago", hours=numeral(seconds // 3600, ".0f"))
    days = int(seconds // 86400)
    return ngettext("{n} day ago", "{n} days ago", days) if days <= 30 else f"{then:%Y-%m-%d}"
