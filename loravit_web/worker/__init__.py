"""The process that trains the queued runs, and what watches over it."""
