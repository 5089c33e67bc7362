"""A server of Google Cloud Storage in a process of its own: `python -m tests.gcs_server` serves an empty bucket, and
prints its port."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.models import ROOT

BUCKET = "zoo"


@contextmanager
def gcs_server() -> Iterator[dict[str, str]]:
    """The environment in which `gs://zoo` is an empty bucket of that server."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.gcs_server"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert child.stdout is not None
        yield {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{int(child.stdout.readline())}"}
    finally:
        child.kill()
        child.wait()


def _serve() -> None:
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    print(server._api._httpd.socket.getsockname()[1], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    _serve()
