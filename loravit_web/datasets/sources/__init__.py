"""Where candidate images come from: folders, archives, CSV files, the Hub and samples."""
