"""Training of one adapter: recipe, data splits, prefix tokens, training loop and evaluation."""
