"""Answers of tasks about images (the tab Use)."""
