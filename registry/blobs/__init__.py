"""Files by content: a folder or an address, with a cache."""
