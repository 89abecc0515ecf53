"""What the environment says: settings, limits, modes and the quota of the data folder."""
