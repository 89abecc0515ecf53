"""Benchmarks of how labels are made: which images are worth one."""
