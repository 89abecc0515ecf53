"""What Gradio is changed by, in one place: see the table in `table`."""
