"""The catalog: adapters, versions, aliases, and search."""
