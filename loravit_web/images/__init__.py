"""Decoding of image files: formats, limits, memory and pixels."""
