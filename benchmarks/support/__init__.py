"""What benchmarks share: apps, homes, browsers and reports."""
