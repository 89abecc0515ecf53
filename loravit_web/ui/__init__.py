"""The web app: a package per tab. No other part of the app imports Gradio."""

import os

from loravit_web.settings.environment import wants_plain_gradio
from loravit_web.ui.patches.gradio_import import import_gradio

if not wants_plain_gradio(os.environ):
    import_gradio()
