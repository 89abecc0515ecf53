"""What kills, outages, load and bad input do to the app."""
