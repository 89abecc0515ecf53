"""What the bundled tasks say about images that do not fit them."""
