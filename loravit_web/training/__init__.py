"""Training one adapter: recipe, prefix tokens, the loop, its evaluation and the process it runs in."""
