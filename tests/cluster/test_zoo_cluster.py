"""A small zoo in a bucket on a cluster of processes, of which one is killed, and a run that is stopped and resumed."""

from __future__ import annotations

import pytest

pytest.importorskip("distributed")
pytest.importorskip("s3fs")
pytest.importorskip("moto")
pytest.importorskip("h5py")

from benchmarks.zoo_cluster import measure


@pytest.mark.more
def test_nothing_is_lost_and_nothing_comes_twice(tmp_path):
    figures = measure(60, 2, tmp_path)
    assert figures.wrong == ()
    assert 20 <= figures.killed_at < 60 and 20 <= figures.stopped_at < 60
    # The one that was killed from outside, and three for the file that kills.
    assert figures.restarted >= 1
