"""Private copies of LiteRT in which AVX is masked."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from xnnlint.runtime import masking, releases, targets
from xnnlint.runtime.availability import availability
from xnnlint.runtime.execution import Execution
from xnnlint.runtime.observe import observe
from xnnlint.runtime.releases import Release
from xnnlint.runtime.trial import smallest, trouble

# As the bytes stand in the wheels, among other code; the second XGETBV belongs to somebody else.
ONCE = b"\x90" * 50 + bytes.fromhex("31C90F01D0660F6EC0") + b"\x90" * 9 + bytes.fromhex("31C90F01D083E006")
FINE = lambda copy: ""  # noqa: E731


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder of xnnlint; not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(targets.EMULATE, raising=False)
    masking._masked.cache_clear()
    yield tmp_path / "cache" / "xnnlint" / "masked"
    masking._masked.cache_clear()


def package(folder: Path, version: str = "2.3.0", **libraries: bytes) -> Release:
    """A made-up package with these libraries, by name without suffix."""
    place = folder / "site" / "ai_edge_litert"
    place.mkdir(parents=True)
    (place / "interpreter.py").write_text("print()")
    (place / "empty.so").touch()
    (place / "__pycache__").mkdir()
    for name, data in libraries.items():
        (place / f"{name}.so").write_bytes(data)
    return Release(version, place)


def contents(folder: Path) -> dict[str, str]:
    """The hash of every file."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_only_the_copy_is_changed_and_in_three_bytes_of_a_library(tmp_path, cache):
    release = package(tmp_path, libLiteRt=ONCE, libpywrap_litert_common=ONCE + ONCE[:10])
    before = contents(release.package)
    copy = masking.masked(release, FINE)
    assert contents(release.package) == before
    assert copy.version == "2.3.0" and copy.package.parent.parent == cache
    for name in ("libLiteRt.so", "libpywrap_litert_common.so"):
        old, new = (r.package.joinpath(name).read_bytes() for r in (release, copy))
        assert len(old) == len(new)
        changed = {i: new[i] for i in range(len(old)) if old[i] != new[i]}
        assert changed == {52: 0x31, 53: 0xC0, 54: 0x90}
    assert copy.library == copy.package / "libLiteRt.so"
    assert (copy.package / "interpreter.py").read_text() == "print()"
    assert not (copy.package / "__pycache__").exists()


@pytest.mark.parametrize(
    ("version", "libraries", "reason"),
    [
        ("2.3.0", {"libLiteRt": ONCE * 2}, "libLiteRt.so of LiteRT 2.3.0 looks for AVX in more than one place"),
        ("2.3.0", {"libLiteRt": b"no"}, "no libLiteRt.so of LiteRT 2.3.0 looks for AVX in the way that is known"),
        ("2.3.0", {"libLiteRt": ONCE, "libpywrap_litert_common": ONCE * 2}, "libpywrap_litert_common.so of LiteRT"),
        ("1.4.0", {"libLiteRt": ONCE}, "no libpywrap_litert_common.so or _pywrap_tensorflow_interpreter_wrapper.so"),
    ],
)
def test_where_the_bytes_are_not_there_once_nothing_is_copied(tmp_path, cache, version, libraries, reason):
    with pytest.raises(masking.CannotMask, match=reason):
        masking.masked(package(tmp_path, version, **libraries), FINE)
    assert not cache.exists()


def test_a_copy_that_does_not_pass_its_trial_is_not_kept(tmp_path, cache):
    with pytest.raises(masking.CannotMask, match=r"in a copy of LiteRT 2\.3\.0, a sparse model runs dense"):
        masking.masked(package(tmp_path, libLiteRt=ONCE), lambda copy: "a sparse model runs dense")
    assert list(cache.iterdir()) == []


def test_where_nothing_can_be_written_the_reason_says_so(tmp_path, cache):
    cache.parent.mkdir(parents=True)
    cache.touch()
    with pytest.raises(masking.CannotMask, match=r"no copy of LiteRT 2\.3\.0 can be made in .*masked"):
        masking.masked(package(tmp_path, libLiteRt=ONCE), FINE)


def test_two_at_once_make_one_complete_copy(tmp_path, cache):
    release, both = package(tmp_path, libLiteRt=ONCE), Barrier(2)

    def wait(copy: Release) -> str:
        both.wait(timeout=20)  # both drafts are complete, and neither is in its place
        assert not [entry for entry in cache.iterdir() if not entry.name.startswith(".making-")]
        both.wait(timeout=20)
        return ""

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: masking._masked.__wrapped__(release, wait), range(2))
    assert first == second
    assert [entry.name for entry in cache.iterdir()] == [first.package.parent.name]
    assert masking.ASKS not in first.library.read_bytes() and masking.MASKED in first.library.read_bytes()


def test_copies_that_nobody_used_for_long_go_when_another_is_made(tmp_path, cache):
    long_ago = time.time() - 40 * 24 * 3600
    used, unused = (package(tmp_path / name, libLiteRt=ONCE) for name in ("used", "unused"))
    places = [masking.masked(release, FINE).package.parent for release in (used, unused)]
    for place in places:
        os.utime(place, (long_ago, long_ago))
    assert masking._masked.__wrapped__(used, FINE).package.parent == places[0]
    masking.masked(package(tmp_path / "new", libLiteRt=ONCE), FINE)
    assert [place.exists() for place in places] == [True, False]


# -- what is chosen ---------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """x86-64 Linux with AVX; returns a function that puts a release there, with or without qemu."""
    monkeypatch.setattr(targets, "host_machine", lambda: "x86-64")
    monkeypatch.setattr(targets, "has_avx", lambda: True)
    monkeypatch.setattr(targets.sys, "platform", "linux")
    monkeypatch.setattr(targets, "_trial", FINE)

    def install(library: bytes, qemu: bool) -> None:
        release = package(tmp_path, libLiteRt=library)
        monkeypatch.setattr(releases, "installed", lambda: release)
        monkeypatch.setattr(targets.shutil, "which", lambda name: f"/bin/{name}" if qemu else None)

    return install


@pytest.mark.parametrize("qemu", [False, True])
def test_with_avx_it_is_masked_whether_there_is_an_emulator_or_not(machine, cache, qemu):
    machine(ONCE, qemu)
    for cpu in ("auto", "x86-sse"):
        target = targets.resolve(cpu)
        assert (target.execution, target.emulator, target.emulated, target.note) == (Execution.MASKED, (), False, "")
        assert target.command()[0] == sys.executable
        assert str(cache) in target.command()[-2]
    assert targets.host().release == releases.installed()
    assert targets.resolve("x86-avx").execution is Execution.NATIVE


def test_where_it_cannot_be_masked_it_is_emulated_and_the_reason_is_there(machine):
    machine(ONCE * 2, qemu=True)
    target = targets.resolve()
    assert (target.cpu, target.execution, target.release) == ("x86-sse", Execution.EMULATED, releases.installed())
    assert target.command()[:3] == ["/bin/qemu-x86_64-static", "-cpu", "Nehalem"]
    assert target.note == (
        "emulated, since AVX cannot be masked: libLiteRt.so of LiteRT 2.3.0 looks for AVX in more than one place"
    )
    seen = availability().cpus["auto"]
    assert (seen.available, seen.execution, seen.emulated, seen.note) == (True, Execution.EMULATED, True, target.note)


def test_where_it_can_be_neither_masked_nor_emulated_both_are_said(machine):
    machine(ONCE * 2, qemu=False)
    with pytest.raises(
        targets.Unavailable, match=r"more than one place\), and qemu-x86_64-static is not there; install"
    ):
        targets.resolve()


@pytest.mark.parametrize(
    ("variable", "argument", "execution"),
    [
        ("1", None, Execution.EMULATED),
        ("0", None, Execution.MASKED),
        ("1", False, Execution.MASKED),
        (None, True, Execution.EMULATED),
    ],
)
def test_the_emulator_can_be_asked_for(machine, monkeypatch, variable, argument, execution):
    machine(ONCE, qemu=True)
    if variable:
        monkeypatch.setenv("XNNLINT_EMULATE", variable)
    target = targets.resolve(emulate=argument)
    assert (target.execution, target.note) == (execution, "")


# -- the real runtime -------------------------------------------------------------------------------------------------

here = pytest.mark.skipif(
    not availability().cpus["x86-avx"].available or sys.platform != "linux", reason="AVX is masked on x86-64 Linux"
)


@here
@pytest.mark.judge
def test_the_installed_litert_runs_sparse_with_avx_masked_and_stays_as_it_is(tmp_path, cache):
    installed = releases.installed()
    before = contents(installed.package)
    model = tmp_path / "model.tflite"
    model.write_bytes(smallest())
    (seen,) = observe([model], seeds=(0,))
    assert (seen.execution, seen.outcome, seen.spmm) == (Execution.MASKED, "sparse", 1)
    assert contents(installed.package) == before
    (copy,) = cache.iterdir()
    assert copy.name.startswith(installed.version)


@here
@pytest.mark.judge
def test_the_trial_finds_a_copy_in_which_nothing_is_masked(tmp_path):
    as_it_is = targets.Target("x86-sse", Execution.MASKED, sys.executable, releases.installed())
    assert trouble(as_it_is.command(), as_it_is.environment) == "a sparse model runs dense"
