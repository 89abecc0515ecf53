"""Files that a run stores beside its version: predictions and suspects, image by image."""
