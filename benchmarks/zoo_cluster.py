"""A zoo in a bucket on a cluster that is ill-treated: what comes out is what one local run says, nothing twice.

    python benchmarks/zoo_cluster.py [--models 2000] [--workers 3]

Starts a server of S3 (moto) and a dask cluster of worker processes, all here. In the bucket are models, and one file
that kills whatever process reads it: a Keras model with a layer for which the configuration names code that does so.
The zoo is checked by one local run, then on the cluster while a worker is killed (SIGKILL), then by a run that is
stopped (SIGTERM) and resumed. Prints figures, and exits 1 where a document is missing, doubled or another one than in
the local run. Of the file that kills, the two kinds of runs say in different words what it did.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import psutil
import s3fs

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.s3_server import BUCKET, s3_server  # noqa: E402

FIXTURES = ROOT / "fixtures"
SOURCES = (
    "guide_sparse",
    "guide_fp16_sparse",
    "guide_wide_sparse",
    "guide_keepdims_false",
    "guide_drq_small",
    "guide_half",
)
POISON = "poison.keras"
KILLER = "import os, signal\n\n\ndef make(config):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
CHECK = [sys.executable, "-m", "xnnlint", "check", f"s3://{BUCKET}", "--allow-code", "--quiet"]


@dataclass
class Figures:
    """What was seen.

    Attributes:
        local, cluster, resumed: seconds of the three runs; the last is of both parts.
        killed_at, stopped_at: lines that were there when a worker was killed, and when the client was stopped.
        restarted: worker processes that the cluster had to start beyond the first ones.
        wrong: what is not as it should be, a sentence each.
    """

    local: float = 0.0
    cluster: float = 0.0
    resumed: float = 0.0
    killed_at: int = 0
    stopped_at: int = 0
    restarted: int = 0
    wrong: tuple[str, ...] = ()


def measure(models: int, workers: int, folder: Path) -> Figures:
    """All of it.

    Args:
        models: how many, with the one that kills.
        workers: processes of the cluster.
        folder: an empty one.
    """
    (folder / "killer.py").write_text(KILLER)
    (folder / "xnnlint.toml").write_text('[layers]\nKiller = "killer:make"\n')
    figures = Figures()
    with s3_server() as server:
        environment = os.environ | server | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "TMPDIR": str(folder)}
        fill(models, server)
        local = folder / "local.jsonl"
        start = time.monotonic()
        run([*CHECK, "--jobs", str(workers), "--format", "jsonl", "--output", str(local)], folder, environment)
        figures.local = time.monotonic() - start
        with dask_cluster(workers, folder, environment) as (address, processes):
            first = set(worker_pids(processes))
            on_cluster = [*CHECK, "--engine", "dask", "--scheduler", address, "--resume"]
            with_kill, with_stop = folder / "with_kill.jsonl", folder / "with_stop.jsonl"
            start = time.monotonic()
            client = started([*on_cluster, str(with_kill)], folder, environment)
            figures.killed_at = wait_for_lines(with_kill, models // 3, client)
            os.kill(worker_pids(processes)[0], signal.SIGKILL)
            ended(client)
            figures.cluster = time.monotonic() - start
            figures.restarted = len(set(worker_pids(processes)) - first)

            start = time.monotonic()
            client = started([*on_cluster, str(with_stop)], folder, environment)
            wait_for_lines(with_stop, models // 3, client)
            client.send_signal(signal.SIGTERM)
            client.wait()
            figures.stopped_at = count_lines(with_stop)
            with with_stop.open("ab") as stream:
                stream.write(b'{"schema_version":')  # as a run leaves it that is killed while it writes
            run([*on_cluster, str(with_stop)], folder, environment)
            figures.resumed = time.monotonic() - start
    figures.wrong = tuple(
        problem
        for name, file in (("killed", with_kill), ("stopped", with_stop))
        for problem in differences(name, documents(local), documents(file), models)
    )
    if not figures.stopped_at < models:
        figures.wrong += ("the run was over before it was stopped",)
    return figures


def fill(models: int, server: dict[str, str]) -> None:
    """Put models into the bucket, each with bytes of its own."""
    fs = s3fs.S3FileSystem(
        key=server["AWS_ACCESS_KEY_ID"],
        secret=server["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=server["AWS_ENDPOINT_URL"],
        skip_instance_cache=True,
    )
    data = [(FIXTURES / f"{name}.tflite").read_bytes() for name in SOURCES]
    files = {
        f"{BUCKET}/team_{number % 10}/{SOURCES[number % len(data)]}_{number}.tflite": data[number % len(data)]
        + number.to_bytes(4, "little")
        for number in range(models - 1)
    }
    files[f"{BUCKET}/team_5/{POISON}"] = poison()
    fs.pipe(files)


def poison() -> bytes:
    """A Keras model with a layer that is called Killer."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, POISON)
        with zipfile.ZipFile(FIXTURES / "guide_sparse.keras") as source, zipfile.ZipFile(target, "w") as sink:
            for name in source.namelist():
                content = source.read(name)
                if name == "config.json":
                    config = json.loads(content)
                    layer = config["config"]["layers"][1]
                    layer |= {"class_name": "Killer", "module": "nets", "registered_name": "nets>Killer"}
                    content = json.dumps(config).encode()
                if name == "model.weights.h5":
                    content = with_weights_of("killer", content)
                sink.writestr(name, content)
        return target.read_bytes()


def with_weights_of(layer: str, data: bytes) -> bytes:
    """A file of weights with those of a layer more, which has none."""
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        file.create_group(f"layers/{layer}/vars")
    return stream.getvalue()


# --- processes -------------------------------------------------------------------------------------------------------


@contextmanager
def dask_cluster(
    workers: int, folder: Path, environment: dict[str, str]
) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The scheduler's address, and the processes that were started: the scheduler, and what keeps workers."""
    where = folder / "scheduler.json"
    log = (folder / "dask.log").open("wb")
    options = {"cwd": folder, "stdout": log, "stderr": log}
    environment = environment | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = ["dask_worker", "--nworkers", str(workers), "--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]
    processes = []
    try:
        for name, *arguments in (scheduler, worker):
            command = [sys.executable, "-m", f"distributed.cli.{name}", *arguments, "--scheduler-file", str(where)]
            processes.append(subprocess.Popen(command, env=environment, **options))
        deadline = time.monotonic() + 120
        while not where.exists() or len(worker_pids(processes)) < workers:
            if time.monotonic() > deadline:
                raise SystemExit(f"no cluster came: {(folder / 'dask.log').read_text()}")
            time.sleep(0.2)
        yield json.loads(where.read_text())["address"], processes
    finally:
        for process in reversed(processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        log.close()


def worker_pids(processes: list[subprocess.Popen[bytes]]) -> list[int]:
    """The processes that do the work, which the other one starts again where they end."""
    found = []
    for child in psutil.Process(processes[-1].pid).children():
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child.pid)
        except psutil.Error:
            continue
    return found


def started(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    log = (folder / "client.log").open("ab")
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def ended(client: subprocess.Popen[bytes]) -> None:
    """It has found errors, and one file that could not be read."""
    code = client.wait()
    if code != 2:
        raise SystemExit(f"a check ended with exit code {code}, not 2")


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    ended(started(command, folder, environment))


def count_lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def wait_for_lines(file: Path, wanted: int, client: subprocess.Popen[bytes]) -> int:
    """How many lines there are once there are as many as wanted."""
    while (there := count_lines(file)) < wanted:
        if client.poll() is not None:
            said = (file.parent / "client.log").read_text()[-1000:]
            raise SystemExit(f"a check ended with exit code {client.returncode} after {there} lines: {said}")
        time.sleep(0.1)
    return there


# --- comparing -------------------------------------------------------------------------------------------------------


def documents(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def differences(
    name: str, local: list[dict[str, object]], found: list[dict[str, object]], models: int
) -> Iterator[str]:
    """Where the documents of a run are not those of the local one."""
    if not len(local) == len(found) == models:
        yield f"{name}: {len(found)} lines, and {len(local)} of the local run, of {models} models"
    expected = {document["path"]: document for document in local}
    for document in found:
        path = document["path"]
        other = expected.pop(path, None)
        if other is None:
            yield f"{name}: {path}: a line too many"
        elif str(path).endswith(POISON):
            for text in (str(document.pop("error")), str(other["error"])):
                if not text.startswith(f"{path}: the process that checked it ended"):
                    yield f"{name}: {path}: it did not kill: {text}"
            if document != {key: value for key, value in other.items() if key != "error"}:
                yield f"{name}: {path}: another document"
        elif document != other:
            yield f"{name}: {path}: another document"
    yield from (f"{name}: {path}: no line" for path in expected)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options.models, options.workers, Path(folder))
        left = sorted(path.name for path in Path(folder).glob("xnnlint-*"))
    models, workers = options.models, options.workers
    print("| run | seconds | |")
    print("| --- | --- | --- |")
    print(f"| local, `--jobs {workers}` | {figures.local:.0f} | {models:,} models |")
    print(
        f"| {workers} workers, one killed | {figures.cluster:.0f} | killed after {figures.killed_at:,} lines;"
        f" {figures.restarted} workers started again |"
    )
    print(f"| {workers} workers, stopped and resumed | {figures.resumed:.0f} | stopped after {figures.stopped_at:,} |")
    for problem in (*figures.wrong, *(f"left behind: {name}" for name in left)):
        print(problem, file=sys.stderr)
    if not figures.wrong:
        print("\nAll three have the same documents, none missing and none twice.")
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
