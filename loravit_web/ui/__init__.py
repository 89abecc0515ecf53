"""The web app: one module per tab, and the only package that knows Gradio."""
