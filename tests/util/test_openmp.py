from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from loravit_web.util.openmp import SPINS, share_cores

ROOT = Path(__file__).resolve().parents[2]


def test_threads_spin_briefly_unless_the_environment_sets_it() -> None:
    environ: dict[str, str] = {}
    share_cores(environ)
    assert environ == {"GOMP_SPINCOUNT": SPINS}


def test_an_existing_setting_is_not_changed() -> None:
    for chosen in ({"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}):
        environ = dict(chosen)
        share_cores(environ)
        assert environ == chosen


def test_it_is_set_before_torch_is_imported() -> None:
    code = "import sys, loravit_web.__main__, loravit_web.util.openmp; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_closed_output_pipe_is_not_an_error(tmp_path: Path) -> None:
    environment = {**os.environ, "LORAVIT_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "loravit_web", "runs", "list"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.wait()
    assert "Traceback" not in process.stderr.read()
