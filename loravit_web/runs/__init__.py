"""Runs: queueing, results, comparison and next steps."""
