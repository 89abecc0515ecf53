"""What a machine gives: engines, memory, and the start."""
