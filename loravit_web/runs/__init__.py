"""What the tab Runs is about: queueing, results, comparison and what to do next."""
