"""Adapters, versions and aliases."""
