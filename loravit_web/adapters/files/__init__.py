"""An adapter as files: format, bundle, folder, card and thumbnail."""
