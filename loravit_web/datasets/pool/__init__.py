"""Images without labels, of which those that teach a task most are shown first."""
