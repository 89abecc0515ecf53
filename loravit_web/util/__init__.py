"""Helpers that do not know the app: text, files, cores, caches, threads."""
