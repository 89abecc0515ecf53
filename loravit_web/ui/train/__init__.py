"""Tab Train."""
