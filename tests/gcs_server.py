"""A server of Google Cloud Storage in a process of its own: `python -m tests.gcs_server` serves an empty bucket, and
prints its port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.served import served

BUCKET = "zoo"


@contextmanager
def gcs_server() -> Iterator[dict[str, str]]:
    """The environment in which `gs://zoo` is an empty bucket of that server."""
    with served("tests.gcs_server") as address:
        yield {"STORAGE_EMULATOR_HOST": address}


def _serve() -> None:
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    print(server._api._httpd.socket.getsockname()[1], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    _serve()
