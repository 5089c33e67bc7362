"""How long a check's page is, in an 80-column terminal: for ordinary networks, and for a folder of 20 models.

    python benchmarks/first_screen.py MODELS_DIR [--svg FOLDER]

MODELS_DIR keeps the networks of keras.applications that are made here (extra tf): MobileNet, EfficientNetB0 and
DenseNet121, 80% of their 1x1 weights zero; palm_detection_lite comes from the mediapipe wheel (as tests/models.py gets
it), and the folder holds the first 20 committed patterns. With --svg what is printed is kept as pictures.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "fixtures")]

WIDTH = 80
# Names of fixtures/keras_apps.py; what was printed before the page of 0.2.0, and what it may take.
NETWORKS = {"mobilenet_v1_224": (49, 25), "efficientnet_b0": (94, 30), "densenet_121": (398, 40)}
PALM, PALM_LINES = "palm_detection_lite", (99, 35)
FOLDER, FOLDER_LINES = 20, (298, 30)


class Screen(io.StringIO):
    """A terminal that keeps what is printed."""

    def isatty(self) -> bool:
        return True


def printed(*arguments: str) -> str:
    """What `xnnlint check` prints in a terminal of 80 columns, with colours."""
    from xnnlint.cli import app

    was, screen = (sys.stdout, sys.argv), Screen()
    os.environ |= {"COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    sys.stdout, sys.argv = screen, ["xnnlint", "check", "--no-cache", *arguments]
    screen.reconfigure = lambda **_: None  # type: ignore[attr-defined]
    try:
        app.main()
    except SystemExit:
        pass
    finally:
        sys.stdout, sys.argv = was
    return screen.getvalue()


def picture(text: str, title: str, target: Path) -> None:
    """The text with its colours, as an SVG file."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text), soft_wrap=True)
    console.save_svg(str(target), title=title)


def make_networks(folder: Path) -> None:
    """Build the networks that are not there yet."""
    missing = [name for name in NETWORKS if not (folder / f"{name}.tflite").exists()]
    if missing:
        import keras_apps

        for app in keras_apps.APPS:
            if app.name in missing:
                (folder / f"{app.name}.tflite").write_bytes(keras_apps.make(app)[1])


def main() -> int:
    """Print the lines of each; 1 if one takes more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("--svg", type=Path, help="keep pictures in this folder")
    given = parser.parse_args()
    from tests.models import FIXTURES, mediapipe_models

    given.models.mkdir(parents=True, exist_ok=True)
    make_networks(given.models)
    palm = next(mediapipe_models().rglob(f"{PALM}.tflite"))
    too_long = False
    print(f"{'model':22}{'before':>8}{'now':>6}{'at most':>9}")
    with tempfile.TemporaryDirectory() as place:
        for path in sorted((FIXTURES / "patterns").glob("*.tflite"))[:FOLDER]:
            shutil.copy(path, place)
        screens = [(name, (str(given.models / f"{name}.tflite"),), lines) for name, lines in NETWORKS.items()]
        screens += [(PALM, (str(palm),), PALM_LINES), ("a folder of 20", (place,), FOLDER_LINES)]
        for name, arguments, (before, most) in screens:
            here = Path.cwd()
            os.chdir(Path(arguments[0]).parent)
            try:
                text = printed(Path(arguments[0]).name)
            finally:
                os.chdir(here)
            lines = len(text.splitlines())
            too_long = too_long or lines > most
            print(f"{name:22}{before:8}{lines:6}{most:9}")
            if given.svg:
                given.svg.mkdir(parents=True, exist_ok=True)
                picture(text, f"xnnlint check {Path(arguments[0]).name}", given.svg / f"{name.replace(' ', '_')}.svg")
    return int(too_long)


if __name__ == "__main__":
    raise SystemExit(main())
