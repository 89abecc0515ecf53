"""Image files in: what they are, how large they may be, and their pixels."""
