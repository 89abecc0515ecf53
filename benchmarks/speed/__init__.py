"""How fast answers, pages, starts and the engine are."""
