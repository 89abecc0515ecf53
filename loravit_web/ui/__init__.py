"""The web app: one module per tab, and the only package that knows Gradio."""

from loravit_web.ui.patches.gradio_import import import_gradio

import_gradio()
