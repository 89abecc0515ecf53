"""Backups and snapshots of a registry."""
