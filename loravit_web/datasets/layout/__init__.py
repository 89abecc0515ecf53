"""Meaning of a tree of folders: which folders are classes or splits, and which files are no samples."""
