"""Who may do what: members, passwords, sessions, addresses, rights and rates."""
