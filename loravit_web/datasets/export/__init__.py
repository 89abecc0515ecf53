"""Export of a stored dataset as a zip that this app and other tools read."""
