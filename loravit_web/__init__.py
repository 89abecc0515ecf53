"""Many small image classifiers, grown as low-rank adapters on one frozen Vision Transformer."""

__version__ = "0.1.0"
