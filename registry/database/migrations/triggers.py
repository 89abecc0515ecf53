"""Triggers that refuse changes, in the syntax of either database. Existing migrations rely on this module."""

from __future__ import annotations

from alembic import op

_FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def refuse(table: str, action: str, message: str, *, when: str | None = None) -> None:
    """Create a trigger that refuses an action on the rows of a table.

    Args:
        table: the table.
        action: ``DELETE``, ``UPDATE`` or ``UPDATE OF column, ...``.
        message: the text of the error; without quotes.
        when: a condition on ``OLD`` and ``NEW`` that limits the refusal; None for no condition.
    """
    name, condition = _name(table, action), f"WHEN ({when}) " if when else ""
    if op.get_bind().dialect.name == "sqlite":
        body = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        op.execute(f"CREATE TRIGGER {name} BEFORE {action} ON {table} {condition}{body}")
    else:
        op.execute(_FUNCTION)
        call = f"EXECUTE FUNCTION refuse_change('{message}')"
        op.execute(f"CREATE TRIGGER {name} BEFORE {action} ON {table} FOR EACH ROW {condition}{call}")


def allow(table: str, action: str) -> None:
    """Drop the trigger that `refuse` created for an action."""
    on = "" if op.get_bind().dialect.name == "sqlite" else f" ON {table}"
    op.execute(f"DROP TRIGGER {_name(table, action)}{on}")


def _name(table: str, action: str) -> str:
    return f"{table}_refuse_{action.split()[0].lower()}"
