"""The tab Catalog."""
