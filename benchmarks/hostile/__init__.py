"""What hostile visitors can do to the app."""
