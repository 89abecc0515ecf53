"""The tab Use."""
