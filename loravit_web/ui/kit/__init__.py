"""Parts that several tabs share: HTML, events, errors, uploads and served files."""
