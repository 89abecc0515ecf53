"""Access control: members, passwords, sessions, rights and rate limits."""
