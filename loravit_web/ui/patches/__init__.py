"""All uses of undocumented parts of Gradio, and all changes of its behavior. `table` lists them."""
