"""Catalog: facts, changes, import, export and publishing of adapters."""
