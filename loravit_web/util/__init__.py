"""Small helpers that know nothing of the app: text, files, cores, caches, threads."""
