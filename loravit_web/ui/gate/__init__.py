"""Middleware between the network and Gradio."""
