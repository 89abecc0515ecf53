"""Everything that uses what Gradio does not document, or changes what it does: `table` lists it."""
