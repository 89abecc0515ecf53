"""Settings from the environment: paths, limits, modes and the quota of the data folder."""
