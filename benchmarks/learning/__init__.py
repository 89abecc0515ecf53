"""How well and how fast adapters are trained."""
