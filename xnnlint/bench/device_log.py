"""Reads what TFLite's `benchmark_model --enable_op_profiling=true` printed on a device.

The section "Operator-wise Profiling Info for Regular Benchmark Runs" (LiteRT's own tool prints it with --use_profiler
and without that title) has a table "Run Order" with a row for each name: what ran (node type), milliseconds of the
first run and on average, shares, memory, calls in a run, and the name. Of XNNPACK's operators the name is
"Delegate/OPERATOR:NUMBER", the number counting from 0 in each partition, of TFLite's own "[OUTPUTS]:OPERATOR". Rows
with equal names are taken together: two partitions with the same operator in the same place have one row, with two
calls and the mean of both.

Sources: google-ai-edge/LiteRT 7d88950 tflite/profiling/profile_summarizer.cc `ProcessProfiles` and
profile_summary_formatter.cc `HandleOutput`; tensorflow/tensorflow 31ccb01 tensorflow/core/util/stats_calculator.cc
`HeaderString` and `ColumnString` (text and CSV; releases until 2.10 have a column [start], too); LiteRT
litert/runtime/profiler_summarizer.cc for the one that adds up operators of the same name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from xnnlint.errors import XnnlintError
from xnnlint.plain_files import MEGABYTE, read_plain

_HOW = "run benchmark_model with --enable_op_profiling=true"
_TABLE, _NEXT = "= Run Order =", "= Top by Computation Time ="
_OF_RUNS, _OF_START = "Operator-wise Profiling Info for Regular Benchmark Runs", "Profiling Info for Benchmark Init"
_OTHER_TABLE = "Delegate Statistics:"
_NUMBER = r"[-+]?(?:[\d.]+(?:e[-+]?\d+)?|nan|inf)"
# Node type, perhaps the start, first, average, share and sum of shares, memory, calls, name: between tabs, blanks
# (where a terminal or an editor has expanded them), or commas.
_TEXT_ROW = rf"^(?P<type>.*?)\s+{{start}}{_NUMBER}\s+(?P<avg>{_NUMBER})\s+{_NUMBER}%\s+{_NUMBER}%\s+{_NUMBER}\s+"
_TEXT_ROW += r"(?P<calls>\d+)\s+(?P<name>\S.*)$"
_CSV_ROW = rf"^(?P<type>.*?),\s*{{start}}{_NUMBER},\s*(?P<avg>{_NUMBER}),\s*{_NUMBER}%,\s*{_NUMBER}%,\s*{_NUMBER},\s*"
_CSV_ROW += r"(?P<calls>\d+),\s*(?P<name>\S.*)$"
_XNNPACK = re.compile(r"^Delegate/(?P<kernel>.+):(?P<index>\d+)$")
_TFLITE = re.compile(r"^\[.*\]:(?P<op>\d+)$")
# KleidiAI's kernels: the same operators, with packed floats in their names (Arm's learning path on LiteRT and SME2).
_KLEIDIAI = re.compile(r"\bPF(16|32)\b")


class Entry(Struct, frozen=True):
    """A row of the table.

    Attributes:
        kernel: XNNPACK's name of an operator, or TFLite's.
        index: XNNPACK's number of it in its partition; of TFLite's own, the operator's index in the model.
        microseconds: on average, of one call.
        calls: in a run.
    """

    kernel: str
    index: int
    microseconds: float
    calls: int


class DeviceLog(Struct, frozen=True):
    """What a log says.

    Attributes:
        xnnpack, tflite: rows in the order in which they first ran.
        microseconds: of a whole run, on average; None where the log does not say.
        threads: that the tool was asked for; None where the log does not say.
        runs: that count; None where the log does not say.
    """

    path: str
    xnnpack: tuple[Entry, ...]
    tflite: tuple[Entry, ...]
    microseconds: float | None
    threads: int | None
    runs: int | None


def read_log(path: str) -> DeviceLog:
    """A log file.

    Raises:
        XnnlintError: it cannot be read, or is not such a log, or is cut, with what to do.
    """
    try:
        text = read_plain(path, 16 * MEGABYTE).decode("utf-8", errors="replace")
    except OSError as error:
        raise XnnlintError(f"{path}: {error.strerror or error}") from None
    return parse_log(text.lstrip("\ufeff"), path)


def parse_log(text: str, path: str) -> DeviceLog:
    """The same of a text; `path` is what to call it."""
    lines = text.replace("\r", "").splitlines()
    rows = list(_rows(lines, path))
    xnnpack, tflite, delegates = [], [], []
    for kind, name, average, calls in rows:
        if found := _XNNPACK.match(name):
            # CSV has tabs in the place of commas inside of names.
            kernel = re.sub(r"\t ?", ", ", found["kernel"])
            xnnpack.append(Entry(_KLEIDIAI.sub(r"F\1", kernel), int(found["index"]), average * 1000, calls))
        elif found := _TFLITE.match(name):
            if "Delegate" in kind:
                delegates.append(kind)
            else:
                tflite.append(Entry(kind.partition("/")[0], int(found["op"]), average * 1000, calls))
    if not xnnpack and not tflite:
        _complain_of_delegate(delegates, path)
    other = next((kind for kind in delegates if "XNNPack" not in kind), None)
    if other is not None:
        raise XnnlintError(f"{path}: {other} ran the model, not XNNPACK; {_HOW} and no other delegate")
    if delegates and not xnnpack:
        _complain_of_delegate(delegates, path)
    return DeviceLog(path, tuple(xnnpack), tuple(tflite), *_run_facts(lines))


def _complain_of_delegate(delegates: Sequence[str], path: str) -> None:
    if any("XNNPack" in kind for kind in delegates):
        raise XnnlintError(
            f"{path}: it has the time of XNNPACK as a whole only; take benchmark_model of TensorFlow 2.9.1 or later"
        )
    what = f"{delegates[0]} ran the model, not XNNPACK" if delegates else "its table of operators is empty"
    raise XnnlintError(f"{path}: {what}; {_HOW} and no other delegate")


def _rows(lines: Sequence[str], path: str) -> Iterator[tuple[str, str, float, int]]:
    """Node type, name, milliseconds and calls of each row of the runs' table, as they stand in the log.

    Raises:
        XnnlintError: there is no such table, or it is cut.
    """
    start = _table(lines, path)
    header = lines[start + 1] if start + 1 < len(lines) else ""
    pattern = _row_pattern(header)
    if pattern is None:
        raise XnnlintError(f"{path}: it ends, or is damaged, at its table of operators (line {start + 2})")
    for number, line in enumerate(lines[start + 2 :], start + 3):
        if _NEXT in line:
            return
        found = pattern.match(line)
        if found is not None:
            yield found["type"].strip(), found["name"].strip(), float(found["avg"]), max(1, int(found["calls"]))
        elif line.strip() and "%" in line:
            raise XnnlintError(f"{path}: line {number} is no row of its table of operators: {line.strip()[:60]!r}")
    raise XnnlintError(f"{path}: it is cut inside its table of operators; {_HOW} once more, and let it end")


def _table(lines: Sequence[str], path: str) -> int:
    """The line of the title of the runs' table: the first behind the section's title, or in a log without one the last
    that is not about the start."""
    tables = [number for number, line in enumerate(lines) if _TABLE in line]
    titles = [number for number, line in enumerate(lines) if _OF_RUNS in line]
    if titles:
        behind = [number for number in tables if number > titles[-1]]
        if behind:
            return behind[0]
        raise XnnlintError(f"{path}: it is cut before its table of operators; {_HOW} once more, and let it end")
    if any(_OTHER_TABLE in line for line in lines):
        raise XnnlintError(
            f"{path}: this tool adds up operators of the same name; take benchmark_model of TensorFlow Lite, "
            "with --enable_op_profiling=true"
        )
    if tables and not any(_OF_START in line for line in lines):
        return tables[-1]
    if any("Inference timings" in line or "Inference (avg)" in line for line in lines):
        raise XnnlintError(f"{path}: it has the time of the whole run only; {_HOW}")
    raise XnnlintError(f"{path}: this is no log of TFLite's benchmark_model; {_HOW}, and keep what it prints")


def _row_pattern(header: str) -> re.Pattern[str] | None:
    """What a row looks like below a header; None where that is none."""
    lowered = header.lower()
    if "node type" not in lowered or "times called" not in lowered:
        return None
    is_text = "[node type]" in lowered
    start = (rf"{_NUMBER}\s+" if is_text else rf"{_NUMBER},\s*") if "start" in lowered else ""
    return re.compile((_TEXT_ROW if is_text else _CSV_ROW).replace("{start}", start), re.IGNORECASE)


def _run_facts(lines: Sequence[str]) -> tuple[float | None, int | None, int | None]:
    """Microseconds of a run, threads and runs.

    "count=50 first=... avg=..." stands first for the warm-up, then for the runs that count; with the table there is one
    more, of what was profiled.
    """
    microseconds, threads, runs = None, None, None
    for line in lines:
        if (found := re.search(r"\bcount=(\d+) .*\bavg=([\d.e+]+)", line)) and "Timings" not in line:
            runs, microseconds = int(found[1]), float(found[2])
        elif found := re.search(r"(?:#threads used for CPU inference|Num threads): \[(\d+)\]", line):
            threads = int(found[1])
    return microseconds, threads, runs
