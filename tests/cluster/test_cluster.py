"""Work on a dask cluster of processes here: nothing is lost, nothing is done twice, and what kills is found."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from xnnlint.cluster import client, worker
from xnnlint.cluster.batches import batches
from xnnlint.cluster.client import Lost, cluster
from xnnlint.cluster.worker import OtherVersion, Place, work_on
from xnnlint.errors import NotInstalled, XnnlintError
from xnnlint.version import __version__

pytest.importorskip("distributed")


def test_each_piece_is_in_one_batch_and_large_ones_come_first():
    sizes = [5, 0, 100, 7, 40 << 20, 3] * 20
    made = batches(sizes, 3)
    assert sorted(number for batch in made for number in batch) == list(range(len(sizes)))
    assert made[0] == [4] and len(made[-1]) > 1 and max(map(len, made)) <= len(sizes) // 12
    assert all(len(batch) == 1 for batch in made if any(sizes[number] > 32 << 20 for number in batch))
    assert batches([], 2) == [] and batches([1, 1], 8) == [[0], [1]]


def mark(piece: tuple[str, int]) -> int:
    """Leaves a mark, and kills its process where it is told to."""
    folder, number = piece
    with Path(folder, str(number)).open("a") as stream:
        stream.write("x")
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def test_a_piece_that_kills_is_named_and_all_others_are_done(tmp_path):
    pieces = [(str(tmp_path), number) for number in range(40)]
    with cluster("", 2) as on:
        assert on.workers == 2
        found = list(on.each(mark, pieces, [1] * 40))
    results = dict(found)
    assert len(found) == 40, "none comes twice"
    assert results.pop(13) == Lost("ended, each time that it was tried again")
    assert results == {number: 2 * number for number in range(40) if number != 13}
    assert (tmp_path / "13").read_text() == "xxx", "it had three workers"


def kill_once(piece: str) -> str:
    if not Path(piece).exists():
        Path(piece).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return piece


def test_what_was_killed_from_outside_is_done_again(tmp_path):
    piece = str(tmp_path / "once")
    with cluster("", 1) as on:
        assert list(on.each(kill_once, [piece], [0])) == [(0, piece)]


def test_a_worker_of_another_version_does_nothing(monkeypatch, tmp_path):
    with pytest.raises(OtherVersion, match=f"a worker has xnnlint {__version__}, and this is 0.0.1"):
        work_on(Place("0.0.1", str(tmp_path)), mark, [(str(tmp_path), 1)])
    assert list(tmp_path.iterdir()) == []


class Workers:
    def __init__(self, versions):
        self.versions = versions

    def run(self, function):
        assert function is worker.installed_version
        if isinstance(self.versions, Exception):
            raise self.versions
        return self.versions


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        (
            {"tcp://a": __version__, "tcp://b": "0.0.1"},
            f"the worker tcp://b has xnnlint 0.0.1, and this is {__version__}",
        ),
        (ModuleNotFoundError("xnnlint"), "a worker has another xnnlint, or none"),
    ],
)
def test_workers_must_have_the_same_xnnlint(versions, said):
    with pytest.raises(XnnlintError) as error:
        client._check_versions(Workers(versions), "tcp://s")
    assert said in str(error.value) and f"pip install 'xnnlint[scale]=={__version__}'" in str(error.value)


def test_a_scheduler_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(client, "_CONNECT", 1)
    start = time.monotonic()
    with (
        pytest.raises(XnnlintError, match=r"tcp://127.0.0.1:9: this is no scheduler of dask"),
        cluster("tcp://127.0.0.1:9", 1),
    ):
        pass
    assert time.monotonic() - start < 30


def test_without_dask_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(client.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotInstalled, match=r"pip install 'xnnlint\[scale\]'"), cluster("", 1):
        pass


def hang(piece: int) -> int:
    time.sleep(60)
    return piece


def test_what_hangs_ends_as_what_crashes_does(monkeypatch):
    import multiprocessing

    child = multiprocessing.get_context("fork").Process(target=_hang_for_a_second)
    child.start()
    child.join(20)
    assert child.exitcode == 1


def _hang_for_a_second() -> None:
    worker.MOST_SECONDS = 1
    work_on(Place(__version__, "/"), hang, [1])
