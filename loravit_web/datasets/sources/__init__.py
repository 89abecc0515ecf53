"""Sources of candidate images: folders, archives, CSV files, uploads, the Hub and samples."""
