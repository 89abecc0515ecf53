"""The files of a stored dataset: its manifest, the names of each import, and who uploaded it."""
