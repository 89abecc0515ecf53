"""Start the web app: ``python app.py``."""

import os
import sys

from loravit_web.util.heap import keep_freed_memory, pause_collection
from loravit_web.util.openmp import share_cores
from loravit_web.util.zero_gpu import register_gpu

pause_collection()  # `open_app` resumes it
share_cores(os.environ)
keep_freed_memory(os.environ)
register_gpu(os.environ)

from loravit_web.errors import LoraVitError  # noqa: E402
from loravit_web.opening import open_app  # noqa: E402
from loravit_web.settings.environment import read_settings  # noqa: E402
from loravit_web.settings.logs import set_up_logs  # noqa: E402
from registry import RegistryError  # noqa: E402

try:
    set_up_logs(os.environ, always=False)
    app = open_app(read_settings(os.environ))
    demo = app.demo
    if __name__ == "__main__":
        app.launch()
except (LoraVitError, RegistryError) as error:
    sys.exit(f"error: {error}")
except KeyboardInterrupt:
    sys.exit("error: Stopped.")
