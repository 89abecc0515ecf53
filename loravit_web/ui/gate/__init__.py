"""Everything that stands between the network and Gradio."""
