"""What the tab Catalog is about: facts, plans, changes, exchange and publishing of adapters."""
