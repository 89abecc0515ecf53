"""The database of the registry, SQLite or PostgreSQL, with its tables and migrations."""
