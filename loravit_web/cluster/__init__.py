"""Workers on a Ray cluster. Only the shell imports this package, and only its functions import Ray."""
