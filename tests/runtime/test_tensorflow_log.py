"""What TensorFlow logs about itself stays away, its errors do not; nor does what is said last before a crash."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

START = """
import logging, os, sys
from xnnlint.runtime.tensorflow_log import errors_only

def log(line):  # as C++ does, past sys.stderr
    os.write(2, line.encode() + b"\\n")

"""
# As TensorFlow 2.19 and 2.21 wrote them.
NOISE = (
    "I0000 00:00:1796076042.043452    4695 port.cc:153] oneDNN custom operations are on.",
    "W0000 00:00:1796076042.043452    4695 tf_tfl_flatbuffer_helpers.cc:365] Ignored output_format.",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "E0000 00:00:1796076138.819614    8797 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error",
    "2025-11-30 21:00:00.123456: I tensorflow/core/platform/cpu_feature_guard.cc:210] This binary is optimized",
    "INFO:tensorflow:Assets written to: somewhere",
    'loc(fused["TensorListReserve:", "a"]): error: \'tf.TensorListReserve\' op requires element_shape to be static',
    "error: Lowering tensor list ops is failed. Please consider using Select TF ops",
    "WARNING:absl:Please consider providing the trackable_obj argument",
)
KEPT = (
    "E0000 00:00:1796076042.043452    4695 graph.cc:10] the graph has a cycle",
    "2025-11-30 21:00:00.123456: E tensorflow/core/graph.cc:10] the graph has a cycle",
    "Traceback (most recent call last):",
)


def said(program: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", START + textwrap.dedent(program)], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize("line", NOISE)
def test_what_is_no_error_goes_no_further(line: str) -> None:
    program = f"with errors_only():\n    log({line!r})\nlog({line!r})"
    assert said(program) == (0, [line]), "once, from outside"


@pytest.mark.parametrize("line", KEPT)
def test_errors_come_through(line: str) -> None:
    assert said(f"with errors_only():\n    log({line!r})") == (0, [line])


def test_what_python_prints_comes_through_in_order() -> None:
    program = """
    with errors_only():
        print("one", file=sys.stderr)
        logging.getLogger("absl").warning("two")
    print("three", file=sys.stderr)
    """
    assert said(program) == (0, ["one", "two", "three"])


def test_the_last_words_before_a_crash_come_through() -> None:
    code, lines = said("with errors_only():\n    log('F0000 check failed')\n    os.abort()")
    assert code != 0 and lines == ["F0000 check failed"]


def test_stderr_may_be_closed() -> None:
    assert said("os.close(2)\nwith errors_only():\n    pass\nprint('through')") == (0, [])
