"""Revisions of a dataset: corrected, extended, or with other names of classes."""
