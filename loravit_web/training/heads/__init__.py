"""Heads that need no training loop: closed forms, the probe, and the blend with a trained head."""
