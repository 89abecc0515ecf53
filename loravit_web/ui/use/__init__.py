"""The Use tab."""
