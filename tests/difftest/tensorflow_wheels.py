"""`python -m tests.difftest tensorflow`: which profile holds for the interpreter that a TensorFlow wheel brings.

python -m tests.difftest tensorflow 2.20.0 --runtime litert-2.0       all fixtures
python -m tests.difftest tensorflow 2.21.0 --runtime tf-2.21 --patterns

The wheel is fetched with pip and unpacked, not installed: its libraries, and interpreter.py in the form that it has for
`tflite_runtime`, which imports no TensorFlow. On x86 with AVX a second copy of the libraries has AVX masked, as
xnnlint/runtime/masking.py does it for LiteRT; TensorFlow is compiled for AVX, so that its code has other bytes there.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.difftest import __main__ as hunt
from tests.models import FIXTURES
from xnnlint.runtime import releases, targets
from xnnlint.runtime.execution import Execution
from xnnlint.runtime.releases import Release
from xnnlint.runtime.targets import Target

# xor ecx,ecx; xgetbv; the beginning of vmovd xmm,r32, or of movd where it was compiled without AVX.
ASKS = re.compile(bytes.fromhex("31C9 0F01D0") + b"(\xc5\xf9\x6e|\x66\x0f\x6e)")
MASKED = bytes.fromhex("31C9 31C090") + rb"\1"
WRAPPER = "_pywrap_tensorflow_interpreter_wrapper.so"
# Where 2.19 has XNNPACK; large, and asked for only where the wrapper needs it.
LARGE = "libtensorflow_cc.so.2"
METRICS = "class TFLiteMetrics:\n    def __getattr__(self, name):\n        return lambda *given, **named: None\n"
SHIM = "from tflite_runtime.interpreter import Interpreter, OpResolverType\n"


def main(arguments: list[str]) -> int:
    """Exit code 0: they agree; 1: they differ; 2: it could not be had or run."""
    parser = argparse.ArgumentParser(prog="python -m tests.difftest tensorflow", description=__doc__)
    parser.add_argument("version", help="of tensorflow-cpu on PyPI, such as 2.21.0")
    parser.add_argument("--runtime", required=True, help="runtime profile that predicts")
    parser.add_argument("--patterns", action="store_true", help="the hand-made patterns instead of all fixtures")
    parser.add_argument("--out", type=Path, default=Path("tensorflow-out"), metavar="FOLDER", help="what differs")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
        try:
            plain, masked = unpacked(options.version, Path(folder))
        except (subprocess.CalledProcessError, LookupError) as error:
            print(f"tests.difftest tensorflow: {error}", file=sys.stderr)
            return hunt.TROUBLE
        name = f"tensorflow-{options.version}"
        found = releases.find
        releases.find = lambda version=None, **how: plain if version == name else found(version, **how)
        targets._without_avx = lambda release, emulate: Target("x86-sse", Execution.MASKED, sys.executable, masked)
        what = ["--patterns"] if options.patterns else ["--files", str(FIXTURES)]
        return hunt.main([*what, "--litert-version", name, "--runtime", options.runtime, "--out", str(options.out)])


def unpacked(version: str, folder: Path) -> tuple[Release, Release]:
    """The interpreter of a wheel as it is, and with AVX masked, each as a package that looks like LiteRT's.

    Raises:
        subprocess.CalledProcessError: pip cannot get the wheel.
        LookupError: no library in it, or more than one, looks for AVX in the way that is known.
    """
    wanted = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), f"tensorflow-cpu=={version}"]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *wanted], check=True)
    (wheel,) = folder.glob("*.whl")
    plain, masked = (Release(version, folder / kind / releases.PACKAGE) for kind in ("plain", "masked"))
    changed = 0
    with zipfile.ZipFile(wheel) as archive:
        for name, data in _parts(archive):
            changed += len(ASKS.findall(data))
            for release, content in ((plain, data), (masked, ASKS.sub(MASKED, data))):
                place = release.package / "tflite_runtime" / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
    if changed != 1:
        raise LookupError(f"{wheel.name}: {changed} places look for AVX in the way that is known, and not one")
    for release in (plain, masked):
        runtime = release.package / "tflite_runtime"
        (runtime / "__init__.py").touch()
        (runtime / "metrics_portable.py").write_text(METRICS)
        (release.package / "__init__.py").write_text(f"import sys\nsys.path.insert(0, {str(release.package)!r})\n")
        (release.package / "interpreter.py").write_text(SHIM)
    return plain, masked


def _parts(archive: zipfile.ZipFile) -> list[tuple[str, bytes]]:
    """interpreter.py, its wrapper, and the libraries that this may need, without their folders."""
    here = "tensorflow/lite/python/"
    names = {name.rpartition("/")[2]: name for name in sorted(archive.namelist(), key=len, reverse=True)}
    wanted = [WRAPPER, "libpywrap_tflite_common.so", "libtensorflow_framework.so.2", "lib_pywrap_tensorflow_common.so"]
    parts = [("interpreter.py", archive.read(f"{here}interpreter.py"))]
    parts += [(name, archive.read(names[name])) for name in wanted if name in names]
    if any(LARGE.encode() in data for name, data in parts if name == WRAPPER):
        parts.append((LARGE, archive.read(names[LARGE])))
    return parts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
