"""Kill a process while it writes a snapshot, later each time, and print what can be restored then.

Arguments: the address of a database, its artifacts, the store, an empty folder.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from registry import Registry, open_snapshot_store


def restorable(store: str, folder: Path) -> str:
    """Return the newest version of an empty registry after a restore, if all its files are intact."""
    with Registry.open(f"sqlite:///{folder / 'registry.db'}", folder / "artifacts") as registry:
        done = registry.restore_snapshot(open_snapshot_store(store), scratch=folder, actor="test")
        assert done is not None
        assert not done.missing
        for version in registry.catalog.versions("pets"):
            registry.catalog.read_files(version)
        return registry.catalog.resolve("pets").ref


def killed_at(sync: int, url: str, artifacts: str, store: str) -> bool:
    """Return whether a process that is killed at this sync had anything left to do."""
    child = os.fork()
    if child == 0:
        left = sync

        def fsync(descriptor: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        os.fsync = fsync
        with Registry.open(url, artifacts) as registry:
            registry.save_snapshot(open_snapshot_store(store), scratch=Path(store) / "scratch")
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    url, artifacts, store, folder = sys.argv[1:]
    sync, killed = 1, True
    while killed:
        copy = f"{folder}/store-{sync}"
        shutil.copytree(store, copy)
        killed = killed_at(sync, url, artifacts, copy)
        sys.stdout.write(f"{restorable(copy, Path(folder) / str(sync))}\n")
        sync += 1
