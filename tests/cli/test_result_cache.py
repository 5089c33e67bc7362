"""What check remembers: the same reports byte for byte, never for anything that changed, and never in the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.program import run
from tests.linter.test_plugins import RULE, announce
from tests.models import FIXTURES, ROOT, committed
from tests.rounds import every, some
from xnnlint.cache import answers, fingerprints, store
from xnnlint.linter import engine, rule_registry
from xnnlint.reporters.check_formats import format_names, report_class
from xnnlint.reporters.check_report import KeepingReport

KEEPING = [
    name for name in format_names() if issubclass(report_class(name), KeepingReport) or report_class(name).takes_rows
]
SPARSE, HALF = FIXTURES / "guide_sparse.tflite", FIXTURES / "guide_half.tflite"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of its own, and models in the current folder."""
    monkeypatch.delenv("XNNLINT_NO_CACHE")
    monkeypatch.setenv("XNNLINT_CACHE_DIR", str(tmp_path / "cache"))
    fingerprints.program.cache_clear()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    shutil.copy(SPARSE, "sparse.tflite")
    shutil.copy(HALF, "half.tflite")
    return tmp_path / "cache" / "xnnlint-check"


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The models that were read, in this process."""
    read: list[str] = []
    check = engine.check_model

    def spy(path, *arguments, **more):
        read.append(str(path))
        return check(path, *arguments, **more)

    monkeypatch.setattr(engine, "check_model", spy)
    # Otherwise a model is read in a process of its own.
    monkeypatch.setattr("xnnlint.cli.session.has_own_process", lambda: False)
    return read


def entries(cache: Path) -> list[Path]:
    """Those with answers; others only say that a file was seen."""
    return sorted(file for file in cache.glob("*.json") if not file.read_bytes().endswith(b"\ntrue"))


OPTIONS = [[], ["--verbose"], ["--plan", "--fail-on", "note"], ["--statistics", "-q"], ["--runtime", "portable"]]


@pytest.mark.parametrize("name", [name for name in format_names() if not report_class(name).writes_itself])
@pytest.mark.parametrize("options", some(OPTIONS, 2), ids=" ".join)
def test_reports_are_the_same_byte_for_byte(name, options, capsys, monkeypatch):
    if "--statistics" in options and not report_class(name).counts_rules:
        options = ["-q"]
    models = ["half.tflite"] if report_class(name).of_one_graph else ["."]
    fresh = run(capsys, monkeypatch, "check", *models, "-f", name, *options, "--no-cache")
    first = run(capsys, monkeypatch, "check", *models, "-f", name, *options)
    again = run(capsys, monkeypatch, "check", *models, "-f", name, *options)
    assert fresh == first == again
    assert fresh[1] or "-q" in options


@pytest.mark.parametrize("options", some([["--verbose", "--statistics"], ["--require-sparse"]], 1), ids=" ".join)
def test_all_fixtures_are_reported_the_same_in_every_format(options, capsys, monkeypatch):
    """All at once, and what is remembered in one run is put into every report of another."""
    for number, file in enumerate([*committed()[::9], *sorted(FIXTURES.glob("guide*.keras"))]):
        shutil.copy(file, f"{number}{file.suffix}")
    reports = [word for name in KEEPING for word in ("--report", f"{name}={name}.out")]
    shown = []
    for more in (["--no-cache"], [], []):
        shown.append([run(capsys, monkeypatch, "check", ".", *reports, *options, *more)])
        shown[-1] += [Path(f"{name}.out").read_bytes() for name in KEEPING]
    assert shown[0] == shown[1] == shown[2]


def test_the_formats_that_keep_nothing_are_those_that_need_the_graph():
    assert {*format_names()} - {*KEEPING} == {name for name in format_names() if report_class(name).of_one_graph}


@pytest.mark.parametrize(
    "file", every(3, [FIXTURES / "guide_sparse.keras", *committed()[::20]]), ids=lambda file: file.name
)
def test_a_model_by_itself_is_reported_the_same(file, capsys, monkeypatch):
    shutil.copy(file, f"model{file.suffix}")
    first = run(capsys, monkeypatch, "check", f"model{file.suffix}")
    assert run(capsys, monkeypatch, "check", f"model{file.suffix}") == first


def test_only_what_changed_is_read_again(cache, reads, capsys, monkeypatch):
    run(capsys, monkeypatch, "check", ".")
    assert reads == ["half.tflite", "sparse.tflite"]
    run(capsys, monkeypatch, "check", ".")
    assert len(reads) == 2
    shutil.copy("sparse.tflite", "half.tflite")
    code, shown, _ = run(capsys, monkeypatch, "check", ".")
    assert reads[2:] == ["half.tflite"]
    assert (code, shown.count(" sparse ")) == (0, 2)
    assert len(entries(cache)) == 3


def test_the_exit_code_and_what_stderr_says_are_remembered(reads, capsys, monkeypatch):
    first = run(capsys, monkeypatch, "check", "half.tflite", "--require-sparse")
    assert first[0] == 1
    assert "which --require-sparse demands" in first[2]
    assert run(capsys, monkeypatch, "check", "half.tflite", "--require-sparse") == first
    assert run(capsys, monkeypatch, "check", "half.tflite", "--require-sparse", "--exit-zero")[0] == 0
    assert len(reads) == 1


def touched(file: str) -> None:
    os.utime(file, (1, 1))


def test_a_file_that_was_only_touched_is_known_still(reads, capsys, monkeypatch):
    run(capsys, monkeypatch, "check", "half.tflite")
    touched("half.tflite")
    run(capsys, monkeypatch, "check", "half.tflite")
    assert len(reads) == 1


def test_one_of_the_same_time_and_size_is_read_again(reads, capsys, monkeypatch):
    run(capsys, monkeypatch, "check", "half.tflite")
    times = Path("half.tflite").stat()
    data = bytearray(Path("half.tflite").read_bytes())
    data[-1] ^= 1
    Path("half.tflite").write_bytes(data)
    os.utime("half.tflite", ns=(times.st_atime_ns, times.st_mtime_ns))
    run(capsys, monkeypatch, "check", "half.tflite")
    assert len(reads) == 2


OTHER = {
    "runtime": ["--runtime", "litert-2.1"],
    "cpu": ["--cpu", "x86-avx"],
    "select": ["--select", "XNN3"],
    "ignore": ["--ignore", "XNN301"],
    "severity": ["--config", 'severity = {XNN301 = "warning"}'],
    "budget": ["--config", 'budget.min-zeros = "80%"'],
    "fail-on": ["--fail-on", "never"],
    "require-sparse": ["--require-sparse"],
    "assume-pruned": ["--assume-pruned", "0.8"],
    "fixes": ["--fixes"],
    "plan": ["--plan"],
    "verbose": ["--verbose"],
    "format": ["--format", "concise"],
    "output": ["--output", "out.txt"],
    "report": ["--report", "json=out.json"],
    "statistics": ["--statistics"],
    "quiet": ["--quiet"],
    "custom-operators": ["--config", 'custom-operators = ["Mine"]'],
}


@pytest.mark.parametrize("what", OTHER)
def test_what_is_asked_is_part_of_the_key(what, reads, capsys, monkeypatch):
    run(capsys, monkeypatch, "check", "half.tflite")
    other = run(capsys, monkeypatch, "check", "half.tflite", *OTHER[what])
    assert len(reads) == 2
    assert other == run(capsys, monkeypatch, "check", "half.tflite", *OTHER[what])
    assert len(reads) == 2
    assert other == run(capsys, monkeypatch, "check", "half.tflite", *OTHER[what], "--no-cache")


def test_settings_of_a_configuration_are_part_of_the_key(reads, capsys, monkeypatch):
    run(capsys, monkeypatch, "check", "half.tflite")
    Path("xnnlint.toml").write_text('ignore = ["XNN301"]\n')
    assert run(capsys, monkeypatch, "check", "half.tflite")[0] == 0
    Path("xnnlint.toml").write_text('[per-file-ignores]\n"h*" = ["XNN301"]\n')
    assert run(capsys, monkeypatch, "check", "half.tflite")[0] == 0
    assert len(reads) == 3


def test_a_selector_that_means_nothing_is_refused_whether_rules_are_remembered_or_not(capsys, monkeypatch):
    for _ in range(2):
        code, _, said = run(capsys, monkeypatch, "check", "half.tflite", "--ignore", "XNN3O1")
        assert (code, "did you mean XNN301" in said) == (2, True)
        assert run(capsys, monkeypatch, "check", "half.tflite", "--ignore", "XNN301")[0] == 0


def test_the_width_of_a_page_is_part_of_the_key(reads, capsys, monkeypatch):
    narrow = run(capsys, monkeypatch, "check", "half.tflite")
    monkeypatch.setenv("COLUMNS", "120")
    wide = run(capsys, monkeypatch, "check", "half.tflite")
    assert narrow != wide
    assert len(reads) == 2


def test_how_a_model_is_named_is_part_of_the_key(reads, capsys, monkeypatch):
    run(capsys, monkeypatch, "check", "half.tflite")
    shown = run(capsys, monkeypatch, "check", str(Path("half.tflite").absolute()))[1]
    assert shown.startswith(str(Path.cwd()))
    assert len(reads) == 2


def test_the_rates_of_a_cost_profile_are_part_of_the_key(reads, capsys, monkeypatch):
    known = ROOT / "xnnlint" / "cost" / "profiles" / "x86-sse.json"
    rates = json.loads(known.read_text())
    Path("rates.json").write_text(json.dumps(rates))
    call = ("check", "sparse.tflite", "--cpu", rates["cpu"], "--cost-profile", "rates.json")
    run(capsys, monkeypatch, *call)
    run(capsys, monkeypatch, *call)
    assert len(reads) == 1
    Path("rates.json").write_text(json.dumps(rates, indent=1))
    run(capsys, monkeypatch, *call)
    assert len(reads) == 2


def test_xnnlint_and_what_is_installed_are_part_of_the_key(tmp_path, reads, capsys, monkeypatch):
    def now() -> str:
        fingerprints.program.cache_clear()
        return fingerprints.program()

    first = now()
    assert now() == first
    monkeypatch.setattr(fingerprints, "__version__", "0.0.0")
    assert now() != first
    monkeypatch.undo()
    record = tmp_path / "site" / "acme-1.0.dist-info"
    record.mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    installed = now()
    assert installed != first
    (record / "entry_points.txt").write_text("[xnnlint.rules]\nacme = acme\n")
    assert now() not in (installed, first)


def test_a_source_file_that_changes_changes_the_program(tmp_path):
    (tmp_path / "package" / "inner").mkdir(parents=True)
    (tmp_path / "package" / "__pycache__").mkdir()
    module = tmp_path / "package" / "inner" / "module.py"
    module.write_text("a = 1\n")
    before = [*fingerprints._sources(str(tmp_path / "package"))]
    (tmp_path / "package" / "__pycache__" / "module.pyc").write_bytes(b"")
    assert [*fingerprints._sources(str(tmp_path / "package"))] == before
    module.write_text("a = 22\n")
    assert [*fingerprints._sources(str(tmp_path / "package"))] != before


def test_rules_of_this_work_tree_are_looked_at():
    parts = " ".join(fingerprints._parts())
    assert "not_pruned.py" in parts
    assert "planner.py" in parts


def test_nothing_is_kept_where_rules_of_others_have_a_say(cache, reads, capsys, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(announce(tmp_path, "acme = kept_rules", kept_rules=RULE))
    monkeypatch.setattr(rule_registry, "all_rules", rule_registry.all_rules.__wrapped__)
    run(capsys, monkeypatch, "check", "half.tflite")
    run(capsys, monkeypatch, "check", "half.tflite")
    assert len(reads) == 2
    assert entries(cache) == []


DAMAGE = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[:-1],
    "a bit": lambda data: data[:-40] + bytes([data[-40] ^ 4]) + data[-39:],
    "of another version": lambda data: data.replace(b"xnnlint 1 ", b"xnnlint 0 ", 1),
    "foreign": lambda data: b'{"code": 0, "failures": [], "taken": []}',
    "binary": lambda data: bytes(range(256)) * 40,
    "a pickle": lambda data: b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_entry_is_a_miss(how, cache, reads, capsys, monkeypatch):
    first = run(capsys, monkeypatch, "check", "half.tflite")
    (entry,) = entries(cache)
    sound = entry.read_bytes()
    entry.write_bytes(DAMAGE[how](sound))
    assert run(capsys, monkeypatch, "check", "half.tflite") == first
    assert len(reads) == 2
    assert entry.read_bytes() == sound


def test_an_entry_of_another_model_is_a_miss(cache, reads, capsys, monkeypatch):
    run(capsys, monkeypatch, "check", "half.tflite")
    (half,) = entries(cache)
    first = run(capsys, monkeypatch, "check", "sparse.tflite")
    (sparse,) = set(entries(cache)) - {half}
    shutil.copy(half, sparse)
    assert run(capsys, monkeypatch, "check", "sparse.tflite") == first
    assert len(reads) == 3


def test_a_folder_in_the_place_of_an_entry_is_a_miss(cache, reads, capsys, monkeypatch):
    first = run(capsys, monkeypatch, "check", "half.tflite")
    (entry,) = entries(cache)
    entry.unlink()
    entry.mkdir()
    assert run(capsys, monkeypatch, "check", "half.tflite") == first
    assert len(reads) == 2


def test_damaged_entries_among_many_are_read_anew_in_their_place(cache, capsys, monkeypatch):
    first = run(capsys, monkeypatch, "check", ".")
    entries(cache)[0].write_bytes(b"")
    assert run(capsys, monkeypatch, "check", ".") == first


@pytest.mark.parametrize("where", ["a file", "read-only", "nowhere"])
def test_a_cache_that_cannot_be_written_is_silent(where, tmp_path, capsys, monkeypatch):
    place = tmp_path / "place"
    if where == "a file":
        place.write_text("")
    elif where == "read-only":
        place.mkdir(mode=0o500)
        if os.access(place, os.W_OK):
            pytest.skip("this user may write anywhere")
    else:
        place = Path("/proc/no-such-folder") if sys.platform == "linux" else place / "\0"
    monkeypatch.setenv("XNNLINT_CACHE_DIR", str(place))
    expected = run(capsys, monkeypatch, "check", "half.tflite", "--no-cache")
    assert run(capsys, monkeypatch, "check", "half.tflite") == expected
    assert run(capsys, monkeypatch, "check", "half.tflite") == expected


def test_a_write_that_fails_leaves_nothing_and_stops_trying(tmp_path, monkeypatch):
    kept = store.Store(str(tmp_path / "entries"))
    kept.write("a" * 32, 1)
    monkeypatch.setattr(store.os, "replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
    kept.write("b" * 32, 2)
    monkeypatch.undo()
    kept.write("c" * 32, 3)
    assert [entry.name for entry in (tmp_path / "entries").iterdir()] == [f"{'a' * 32}.json"]


@pytest.mark.parametrize("how", ["option", "environment", "configuration", "debug"])
def test_it_can_be_switched_off(how, cache, reads, capsys, monkeypatch):
    run(capsys, monkeypatch, "check", "half.tflite")
    before = [entry.stat().st_mtime_ns for entry in entries(cache)]
    options = ["--no-cache"] if how == "option" else []
    if how == "environment":
        monkeypatch.setenv("XNNLINT_NO_CACHE", "1")
    elif how == "debug":
        monkeypatch.setenv("XNNLINT_DEBUG", "1")
    elif how == "configuration":
        Path("xnnlint.toml").write_text("no-cache = true\n")
    shutil.copy("sparse.tflite", "new.tflite")
    run(capsys, monkeypatch, "check", "half.tflite", "new.tflite", *options)
    assert len(reads) == 3
    assert [entry.stat().st_mtime_ns for entry in entries(cache)] == before


def test_a_file_that_is_written_while_it_is_read_is_not_kept(cache, reads, capsys, monkeypatch):
    check = engine.check_model

    def written(path, *arguments, **more):
        report = check(path, *arguments, **more)
        touched("half.tflite")
        return report

    monkeypatch.setattr(engine, "check_model", written)
    run(capsys, monkeypatch, "check", "half.tflite")
    assert entries(cache) == []


@pytest.mark.parametrize("text", ["not a model", ""])
def test_what_cannot_be_read_is_not_kept(text, cache, capsys, monkeypatch):
    Path("bad.tflite").write_text(text)
    first = run(capsys, monkeypatch, "check", "bad.tflite", "no-such.tflite")
    assert first[0] == 2
    assert run(capsys, monkeypatch, "check", "bad.tflite", "no-such.tflite") == first
    assert entries(cache) == []


def test_a_model_in_several_files_is_known_by_all_of_them(tmp_path):
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/a", "variables/b"):
        (folder / name).write_text(name)

    def digest(path: Path) -> str | None:
        found = fingerprints.stamps(str(path))
        return None if found is None else fingerprints.content(found, str(path.parent))

    first = digest(folder)
    assert first is not None
    assert digest(folder) == first
    (folder / "variables" / "b").write_text("c")
    second = digest(folder)
    assert second not in (None, first)
    (folder / "variables" / "b").rename(folder / "variables" / "c")
    assert digest(folder) not in (None, first, second)
    # The shards of TF.js are beside the file that is named.
    (folder / "model.json").write_text("{}")
    (folder / "shard").write_text("1")
    named = digest(folder / "model.json")
    (folder / "shard").write_text("2")
    assert digest(folder / "model.json") not in (None, named)
    (folder / "link").symlink_to(tmp_path, target_is_directory=True)
    assert digest(folder) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert fingerprints.stamps(str(tmp_path / "pipe")) is None


def test_the_size_is_bounded_and_the_oldest_go(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MOST_BYTES", 10_000)
    monkeypatch.setattr(store, "_KEPT_BYTES", 5_000)
    kept = store.Store(str(tmp_path / "entries"))
    keys = [store.key_of(number) for number in range(12)]
    for age, key in enumerate(keys):
        kept.write(key, "x" * 900)
        os.utime(tmp_path / "entries" / f"{key}.json", (time.time() - 10_000 * (age + 2),) * 2)
    (tmp_path / "entries" / "notes.txt").write_text("somebody else's" * 1000)
    assert kept.read(keys[-1]) is not None  # used now, so no longer the oldest
    kept.end()
    left = [key for key in keys if kept.has(key)]
    assert left == [*keys[:4], keys[-1]]
    assert (tmp_path / "entries" / "notes.txt").exists()


def test_a_clock_that_was_ahead_does_not_keep_an_entry_for_ever(tmp_path, monkeypatch):
    kept = store.Store(str(tmp_path))
    kept.write("a" * 32, 1)
    future = time.time() + 10**8
    os.utime(tmp_path / f"{'a' * 32}.json", (future, future))
    assert kept.read("a" * 32) == 1
    assert (tmp_path / f"{'a' * 32}.json").stat().st_mtime < future - 1000


def test_an_entry_that_is_too_large_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MOST_OF_ONE", 2000)
    kept = store.Store(str(tmp_path / "entries"))
    kept.write("a" * 32, "x" * 1500)
    assert not kept.has("a" * 32)


def test_drafts_of_killed_runs_go(tmp_path):
    kept = store.Store(str(tmp_path))
    old, new = tmp_path / f"{'a' * 32}.1.part", tmp_path / f"{'a' * 32}.2.part"
    for draft in (old, new):
        draft.write_text("")
    os.utime(old, (1, 1))
    kept.write("b" * 32, 1)
    kept.end()
    assert (old.exists(), new.exists()) == (False, True)


def test_clean_removes_entries_and_nothing_else(cache, reads, capsys, monkeypatch):
    run(capsys, monkeypatch, "check", ".")
    kept = len(list(cache.iterdir()))
    assert kept >= 2
    (cache / "notes.txt").write_text("mine")
    assert run(capsys, monkeypatch, "clean") == (0, f"removed {kept} entries\n", "")
    assert [entry.name for entry in cache.iterdir()] == ["notes.txt"]
    (cache / "notes.txt").unlink()
    assert run(capsys, monkeypatch, "clean", "-q") == (0, "", "")
    assert not cache.exists()
    assert run(capsys, monkeypatch, "clean")[1] == "removed 0 entries\n"
    run(capsys, monkeypatch, "check", ".")
    assert len(reads) == 4


def test_the_folder_is_that_of_the_users_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("XNNLINT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    answers.store().write("a" * 32, 1)
    assert [*tmp_path.rglob("*.json")] == [tmp_path / "xnnlint" / "check" / f"{'a' * 32}.json"]


def test_runs_side_by_side_do_not_disturb_each_other(cache):
    command = [sys.executable, "-m", "xnnlint", "check", ".", "-f", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for number in range(6):
        shutil.copy("half.tflite", f"{number}.tflite")
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(2)]
    shown = [child.communicate(timeout=120)[0] for child in running]
    assert [child.returncode for child in running] == [1, 1]
    assert shown[0] == shown[1]
    assert len(entries(cache)) == 8
    assert [file for file in cache.iterdir() if file.suffix != ".json"] == []


@pytest.mark.skipif(sys.platform == "win32", reason="typer reads the call there")
@pytest.mark.parametrize("form", every(3, KEEPING))
def test_what_is_remembered_is_told_without_anything_heavy(form):
    Path("xnnlint.toml").write_text('ignore = ["XNN305"]\nseverity = {XNN301 = "warning"}\n')
    heavy = ("numpy", "networkx", "typer", "rich", "flatbuffers", "xnnlint.rules", "xnnlint.linter.engine")
    code = (
        "import sys; from xnnlint.cli import app as cli; sys.argv = ['xnnlint', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        f"print('loaded:', [m for m in {heavy} if m in sys.modules])\n"
    )
    command = [sys.executable, "-c", code, "check", "half.tflite", "sparse.tflite", "-f", form]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    shown = [subprocess.run(command, capture_output=True, text=True, env=environment).stdout for _ in range(2)]
    assert "numpy" in shown[0].splitlines()[-1]
    assert shown[1].splitlines()[-1] == "loaded: []"
    assert shown[0].splitlines()[:-1] == shown[1].splitlines()[:-1]
