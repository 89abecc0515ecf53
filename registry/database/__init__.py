"""The database under the registry: SQLite or PostgreSQL, its rows and its migrations."""
