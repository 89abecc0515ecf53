"""An adapter as files: file format, bundle, folder, model card and thumbnail."""
