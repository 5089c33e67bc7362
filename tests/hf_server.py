"""As much of the Hugging Face Hub as reading a repository asks for, in a process of its own.

`python -m tests.hf_server FOLDER` serves the files of a folder as the repository `team/zoo`, and prints its port.

As huggingface_hub 2.4 asks (`hf_api.py`: `repo_info`, `list_repo_tree`, `get_paths_info`; `file_download.py`:
`hf_hub_url`).
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.served import served

REPOSITORY = "team/zoo"


@contextmanager
def hf_server(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which `hf://team/zoo` is a folder's files."""
    with served("tests.hf_server", str(folder)) as address:
        yield {"HF_ENDPOINT": address, "HF_TOKEN": "", "HF_HUB_OFFLINE": "0"}


def _serve(folder: Path) -> None:
    from flask import Flask, abort, jsonify, request, send_file
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = Flask(__name__)

    def entry(place: Path) -> dict[str, Any]:
        name = place.relative_to(folder).as_posix()
        if place.is_dir():
            return {"type": "directory", "path": name, "size": 0, "oid": "0" * 40}
        data = place.read_bytes()
        oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return {"type": "file", "path": name, "size": len(data), "oid": oid}

    def missing(code: str) -> Any:
        return jsonify({"error": "not found"}), 404, {"X-Error-Code": code}

    @app.get(f"/api/models/{REPOSITORY}")
    @app.get(f"/api/models/{REPOSITORY}/revision/main")
    def info() -> Any:
        return {"id": REPOSITORY, "sha": "0" * 40, "private": False, "siblings": [], "tags": []}

    @app.get("/api/models/<path:repository>")
    def other(repository: str) -> Any:
        return missing("RepoNotFound")

    @app.get(f"/api/models/{REPOSITORY}/tree/main", defaults={"path": ""})
    @app.get(f"/api/models/{REPOSITORY}/tree/main/<path:path>")
    def tree(path: str) -> Any:
        below = folder / path
        if not below.is_dir():
            return missing("EntryNotFound")
        found = below.rglob("*") if request.args.get("recursive", "").lower() == "true" else below.iterdir()
        return jsonify([entry(place) for place in sorted(found)])

    @app.post(f"/api/models/{REPOSITORY}/paths-info/main")
    def paths_info() -> Any:
        asked = request.get_json(silent=True) or request.form.to_dict(flat=False)
        wanted = [asked["paths"]] if isinstance(asked["paths"], str) else asked["paths"]
        return jsonify([entry(folder / path) for path in wanted if (folder / path).exists()])

    @app.get(f"/{REPOSITORY}/resolve/main/<path:path>")
    def resolve(path: str) -> Any:
        if not (folder / path).is_file():
            abort(404)
        return send_file((folder / path).resolve(), conditional=True)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
