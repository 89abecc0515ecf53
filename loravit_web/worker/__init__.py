"""The process that trains queued runs, and its supervision."""
