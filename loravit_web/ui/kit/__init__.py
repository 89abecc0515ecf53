"""Parts that every tab uses: markup, events, errors, uploads and served files."""
