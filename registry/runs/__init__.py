"""Runs, their metrics, curves and files."""
