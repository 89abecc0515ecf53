"""The history of runs, their metrics and files, and the queue."""
