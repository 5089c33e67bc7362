"""Models at addresses: found by the same rules as on a disk, bounded, tried again, and every fault in one sentence."""

from __future__ import annotations

import builtins
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.models import FIXTURES, ROOT
from xnnlint.errors import ModelError, XnnlintError
from xnnlint.loaders.addresses import is_address, is_pattern, shown
from xnnlint.loaders.remote import scratch, store
from xnnlint.loaders.remote.faults import fault_of
from xnnlint.loaders.remote.fetch import Fetching, fetched
from xnnlint.loaders.search import search

HALF = FIXTURES / "guide_half.tflite"
NAMES = (
    "b.tflite", "a.tflite", "notes.txt", "m.weights.h5", "deep/c.KERAS", "deep/d.bin", "deep/er/e.tflite",
    ".git/f.tflite", "deep/.venv/g.tflite", "node_modules/h.tflite", "saved/saved_model.pb",
    "saved/assets/i.tflite",
)  # fmt: skip


@pytest.fixture
def memory():
    fsspec = pytest.importorskip("fsspec")
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


@pytest.fixture
def twins(memory, tmp_path):
    """The same files at memory://zoo and in a folder."""
    for name in NAMES:
        memory.pipe(f"/zoo/{name}", b"12345678")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345678")
    return tmp_path


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(store, "_PAUSE", 0.01)


# --- finding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    ["", "/deep", "/*.tflite", "/**/*.tflite", "/deep/**", "/deep/*", "/d*/**/e.*", "/*/*/*.tflite", "/[a]*.tflite",
     "/?.tflite", "/deep/*.bin", "/*.txt", "/s*", "/saved", "/d*", "/deep/er/e.tflite", "/.git", "/**"],
)  # fmt: skip
def test_what_is_found_at_an_address_is_what_is_found_on_a_disk(twins, wanted):
    here = [(Path(found.path).relative_to(twins).as_posix(), found.error) for found in search([f"{twins}{wanted}"])]
    there = [(found.path.removeprefix("memory://zoo/"), found.error) for found in search([f"memory://zoo{wanted}"])]
    assert there == here
    assert there


def test_the_listing_tells_sizes(twins):
    sizes = {found.path: found.size for found in search(["memory://zoo"])}
    assert (sizes["memory://zoo/a.tflite"], sizes["memory://zoo/saved"]) == (8, 16)


def test_settings_hold_for_addresses(twins, monkeypatch):
    from xnnlint.config.settings import Resolver

    monkeypatch.chdir(twins)
    text = 'exclude = ["er", "memory://zoo/b.*"]\n[per-file-ignores]\n"memory://zoo/deep/*" = ["XNN301"]\n'
    (twins / "xnnlint.toml").write_text(text)
    resolver = Resolver()
    found = [found.path for found in search(["memory://zoo"], resolver.excluded)]
    assert found == [f"memory://zoo/{name}" for name in ("a.tflite", "deep/c.KERAS", "saved")]
    assert not resolver.for_model("memory://zoo/deep/c.KERAS").reports("XNN301", "")
    assert resolver.for_model("memory://zoo/a.tflite").reports("XNN301", "")


@pytest.mark.parametrize("wanted", ["x*.tflite", "none/**"])
def test_a_pattern_without_a_match_is_an_error(twins, wanted):
    (found,) = search([f"memory://zoo/{wanted}"])
    assert found.error is not None
    assert "no model matches this pattern" in found.error or "nothing is there" in found.error


def test_a_name_with_brackets_is_a_name_where_it_is_there(memory):
    memory.pipe("/zoo/m[1].tflite", b"x")
    assert [(f.path, f.error) for f in search(["memory://zoo/m[1].tflite"])] == [("memory://zoo/m[1].tflite", None)]


def test_addresses():
    assert is_address("S3://b/x") and not is_address("dir/x:y") and not is_address("C:\\m.tflite")
    assert is_pattern("s3://b/?.tflite") and not is_pattern("https://h/m.tflite?id=1")
    assert shown("https://me:secret@h:8/a/m.tflite?X-Amz-Signature=1#x") == "https://h:8/a/m.tflite"
    assert shown("s3://b/a?.tflite") == "s3://b/a?.tflite"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://h/m.tflite", "ftp:// is no address that models are read from; s3://, gs://, https:// and hf:// are"),
        ("file:///m.tflite", "file:// is no address"),
        ("http://example.org/m.tflite", "over http:// anybody on the way can change a model; give its https://"),
        ("s3://b*/m.tflite", "the name of the bucket or of the server cannot be a pattern"),
    ],
)
def test_addresses_that_are_not_read(address, said):
    (found,) = search([address])
    assert found.error is not None and found.error.startswith(f"{address}: ") and said in found.error


# --- fetching --------------------------------------------------------------------------------------------------------


def test_a_fetched_file_is_the_one_that_was_there_and_goes(memory, tmp_path):
    data = HALF.read_bytes()
    memory.pipe("/zoo/half.tflite", data)
    with fetched("memory://zoo/half.tflite", Fetching(str(tmp_path))) as file:
        assert (Path(file).read_bytes(), Path(file).name) == (data, "half.tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_model_is_fetched_whole(memory, tmp_path):
    for name in ("saved_model.pb", "variables/variables.index"):
        memory.pipe(f"/zoo/saved/{name}", name.encode())
    with fetched("memory://zoo/saved", Fetching(str(tmp_path))) as folder:
        assert Path(folder, "variables", "variables.index").read_bytes() == b"variables/variables.index"


@pytest.fixture
def requests(memory, monkeypatch):
    """What is asked of the server: "info" or the number of bytes."""
    asked = []
    cat_file, info = memory.cat_file, memory.info

    def counted(path, start=None, end=None):
        piece = cat_file(path, start=start, end=end)
        asked.append(len(piece))
        return piece

    monkeypatch.setattr(memory, "cat_file", counted)
    monkeypatch.setattr(memory, "info", lambda path: asked.append("info") or info(path))
    return asked


@pytest.mark.parametrize("more", [0, (1 << 18) - HALF.stat().st_size, 1 << 18, 20 << 20])
@pytest.mark.parametrize("listed", [True, False])
def test_a_small_model_of_known_size_takes_one_request(memory, tmp_path, requests, more, listed):
    data = HALF.read_bytes() + bytes(more)
    memory.pipe("/zoo/half.tflite", data)
    with fetched("memory://zoo/half.tflite", Fetching(str(tmp_path)), len(data) if listed else None) as file:
        assert Path(file).read_bytes() == data
    assert sum(size for size in requests if size != "info") == len(data)
    assert requests.count("info") == (2 if len(data) > 1 << 18 else not listed)
    assert len(requests) == (1 if listed else 2) or len(data) > 1 << 18


def test_a_file_that_has_grown_or_shrunk_since_it_was_listed_is_not_taken(memory, tmp_path):
    data = HALF.read_bytes()
    memory.pipe("/zoo/half.tflite", data)
    for size, said in ((len(data) - 1, "it was changed while"), (len(data) + 1, f"{len(data)} of {len(data) + 1} by")):
        with (
            pytest.raises(ModelError, match=said),
            fetched("memory://zoo/half.tflite", Fetching(str(tmp_path)), size),
        ):
            pass


@pytest.mark.parametrize(
    ("name", "head", "said"),
    [
        ("film.tflite", b"\x89PNG\0", "this is a picture, not a model"),
        ("film.bin", b"\1\2\3\4film\0", "this is not a TFLite model"),
        ("film.keras", b"\1\2\3\4film\0", "this is neither a zip archive nor HDF5"),
    ],
)
def test_of_a_file_that_is_no_model_only_the_beginning_is_read(memory, tmp_path, requests, name, head, said):
    memory.pipe(f"/zoo/{name}", head + bytes(3_000_000))
    with pytest.raises(ModelError, match=said) as error, fetched(f"memory://zoo/{name}", Fetching(str(tmp_path))):
        pass
    assert str(error.value).startswith(f"memory://zoo/{name}: ")
    assert requests == ["info", 1 << 18]
    assert list(tmp_path.iterdir()) == []


def test_by_its_name_a_file_is_refused_without_a_connection(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    with pytest.raises(ModelError, match="this is an ONNX model"), fetched("s3://b/net.onnx", Fetching(str(tmp_path))):
        pass


def test_what_is_too_large_is_not_fetched(memory, tmp_path):
    memory.pipe("/zoo/large.tflite", bytes(3 << 20))
    with (
        pytest.raises(ModelError, match=r"it has 3 MB, and no more than 2 are fetched; .* remote-max-megabytes=3"),
        fetched("memory://zoo/large.tflite", Fetching(str(tmp_path), 2 << 20)),
    ):
        pass


def test_a_file_that_is_written_while_it_is_fetched_is_not_taken(memory, tmp_path, monkeypatch):
    data = HALF.read_bytes() + bytes(1 << 19)
    memory.pipe("/zoo/half.tflite", data)

    cat_file = memory.cat_file

    def replacing(path, start=None, end=None):
        memory.pipe("/zoo/half.tflite", data)
        return cat_file(path, start=start, end=end)

    monkeypatch.setattr(memory, "cat_file", replacing)
    with (
        pytest.raises(ModelError, match="it was changed while it was fetched"),
        fetched("memory://zoo/half.tflite", Fetching(str(tmp_path))),
    ):
        pass


def test_the_folder_of_a_killed_process_goes_with_the_next(tmp_path, monkeypatch):
    script = "from xnnlint.loaders.remote.scratch import scratch_folder as f; import time; print(f(), flush=True); "
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    options = {"stdout": subprocess.PIPE, "text": True, "env": environment, "cwd": ROOT}
    killed = subprocess.Popen([sys.executable, "-c", script + "time.sleep(60)"], **options)
    folder = Path(killed.stdout.readline().strip())
    monkeypatch.setattr(scratch.tempfile, "gettempdir", lambda: str(tmp_path))
    scratch.remove_stale()
    assert folder.is_dir(), "its process is there"
    killed.kill()
    killed.communicate()
    done = subprocess.run([sys.executable, "-c", script], check=True, **options)
    assert list(tmp_path.iterdir()) == [] and done.stdout.strip() != str(folder)


# --- servers ---------------------------------------------------------------------------------------------------------


class Answers(BaseHTTPRequestHandler):
    """Says what it is told to, one answer a request; of what it is not told anything, the file."""

    answers: list[str]
    data = HALF.read_bytes()

    def do_HEAD(self):
        self.reply(with_body=False)

    def do_GET(self):
        answer = self.answers.pop(0) if self.answers else "file"
        self.server.seen.append(answer)
        if answer == "cut":
            self.reply(self.data[: len(self.data) // 2])
            self.close_connection = True
        elif answer.isdigit():
            self.send_error(int(answer))
        elif answer == "wait":
            time.sleep(3)
        else:
            self.reply()

    def reply(self, data=data, *, with_body=True):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    pytest.importorskip("aiohttp")
    servers = []

    def start(handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.seen = []
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server, f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("answers", [[], ["503"], ["cut"], ["429", "cut", "500"]])
def test_what_may_pass_is_tried_again(serve, tmp_path, answers):
    server, address = serve(type("Told", (Answers,), {"answers": list(answers)}))
    with fetched(f"{address}/half.tflite?signature=1", Fetching(str(tmp_path))) as file:
        assert Path(file).read_bytes() == Answers.data
    assert server.seen == [*answers, "file"]


@pytest.mark.parametrize(
    ("answer", "said", "times"),
    [
        ("404", "nothing is there", 1),
        ("403", "access is denied", 1),
        ("503", "the server answered with the error 503, 4 times over", 4),
        ("cut", "the server cannot be reached", 4),
        ("wait", "the server did not answer in time, 4 times over", 4),
    ],
)
def test_what_does_not_pass_is_one_sentence(serve, tmp_path, monkeypatch, answer, said, times):
    monkeypatch.setattr(store, "_READ", 0.3)
    # fsspec keeps connections, which were opened with other bounds.
    import fsspec

    fsspec.filesystem("http").clear_instance_cache()
    server, address = serve(type("Told", (Answers,), {"answers": [answer] * 8}))
    with pytest.raises(ModelError, match=said) as error, fetched(f"{address}/m.tflite", Fetching(str(tmp_path))):
        pass
    assert "\n" not in str(error.value) and str(error.value).startswith(f"{address}/m.tflite: ")
    assert len(server.seen) == times
    assert list(tmp_path.iterdir()) == []
    fsspec.filesystem("http").clear_instance_cache()


def test_a_folder_of_a_web_server_is_searched(serve, tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("a.tflite", "deep/b.tflite", "notes.txt"):
        (tmp_path / name).write_bytes(HALF.read_bytes())
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    _, address = serve(partial(quiet, directory=str(tmp_path)))
    assert [f.path for f in search([f"{address}/"])] == [f"{address}/a.tflite", f"{address}/deep/b.tflite"]
    assert [f.path for f in search([f"{address}/**/b.*"])] == [f"{address}/deep/b.tflite"]


def test_a_server_that_is_not_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pytest.importorskip("aiohttp")
    (found,) = search([f"http://127.0.0.1:{port}/m.tflite"])
    assert found.error is not None and "the server cannot be reached" in found.error


@pytest.mark.parametrize(
    ("missing", "address", "install"),
    [
        ("fsspec", "s3://b/m.tflite", "pip install 'xnnlint[remote]'"),
        ("s3fs", "s3://b/m.tflite", "pip install 'xnnlint[remote]'"),
        ("gcsfs", "gs://b/m.tflite", "pip install 'xnnlint[remote]' gcsfs"),
        ("huggingface_hub", "hf://u/r/m.tflite", "pip install 'xnnlint[remote]' huggingface_hub"),
    ],
)
def test_a_package_that_is_missing_is_named(monkeypatch, missing, address, install):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(XnnlintError) as error:
        store.Store(address)
    scheme = address.partition(":")[0]
    assert str(error.value) == f"{address}: {scheme}:// needs the package {missing}: {install}"


def test_faults():
    class NoCredentialsError(Exception):
        pass

    assert "AWS_ACCESS_KEY_ID" in fault_of(NoCredentialsError(), "s3").advice
    assert fault_of(PermissionError("x"), "gs").problem == "access is denied"
    assert fault_of(TimeoutError(), "s3").may_pass
    assert not fault_of(builtins.KeyError("odd"), "s3").may_pass
    assert fault_of(OSError("Forbidden: b/x"), "gs").problem == "access is denied"
    full = fault_of(OSError(28, "No space left on device"), "s3")
    assert ("no room" in full.problem, full.may_pass) == (True, False)


# --- and nothing else ------------------------------------------------------------------------------------------------


def test_local_files_need_no_network_and_no_package_for_it(tmp_path):
    script = (
        "import os, sys\n"
        "def watch(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'): os.write(2, b'NETWORK')\n"
        "sys.addaudithook(watch)\n"
        "from xnnlint.cli import app\n"
        "try: app.main()\n"
        "finally: assert not {'fsspec', 's3fs', 'aiohttp', 'distributed', 'dask'} & set(sys.modules), sys.modules\n"
    )
    for command in (["check", str(HALF), str(FIXTURES / "guide_sparse.keras")], ["check", str(tmp_path)]):
        done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode in (1, 2)
        assert not any(word in done.stderr for word in ("NETWORK", "Error")), done.stderr
    command = ["check", "http://127.0.0.1:9/m.tflite"]
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, cwd=ROOT)
    assert "NETWORK" in done.stderr, "the hook sees nothing"


def test_signals_leave_nothing_behind(serve, tmp_path):
    _, address = serve(type("Told", (Answers,), {"answers": ["wait"] * 8}))
    child = subprocess.Popen(
        [sys.executable, "-m", "xnnlint", "check", f"{address}/m.tflite"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("xnnlint-remote-*/*/m.tflite")):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=20)
    assert child.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
