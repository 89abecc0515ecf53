"""The web app: one module per tab, and the only package that knows Gradio."""

import os

from loravit_web.settings.environment import wants_plain_gradio
from loravit_web.ui.patches.gradio_import import import_gradio

if not wants_plain_gradio(os.environ):
    import_gradio()
