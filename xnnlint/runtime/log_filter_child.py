"""Stands between TensorFlow and stderr, as a process of its own: what TensorFlow logs below an error goes no further.

A process, and no thread: TensorFlow logs while it holds Python's lock, and what it said last must come through where it
ends the process. Run by its path, without xnnlint.
"""

import re
import sys

# As absl begins its lines in C++ ("I0000 00:00:1796076042.043452 ...", which TF_CPP_MIN_LOG_LEVEL does not stop before
# absl::InitializeLog()), TensorFlow did ("2025-01-01 00:00:00.000000: I tensorflow/..."), and absl does in Python.
NOISE = re.compile(
    rb"[IW]\d{4} \d\d:\d\d:\S+ |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] |(INFO|WARNING):(absl|tensorflow):"
    rb"|WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|To enable the following instructions: "
    rb"|E\d{4} .*\] failed call to cuInit"  # there is no GPU, and nothing here needs one
    rb"|.*error: .*(TensorList|tensor list ops is failed)"  # the error that is raised is read (`tensorflow_converter`)
)


def main() -> None:
    for line in sys.stdin.buffer:
        if not NOISE.match(line):
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()


if __name__ == "__main__":
    main()
