"""What the tab Use is about: answers of tasks about images."""
