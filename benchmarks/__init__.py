"""Slow proofs and timings: ``python -m benchmarks NAME``."""
