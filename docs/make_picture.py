"""Writes docs/check.svg, the picture in the README: what `xnnlint check` prints in a terminal, with its colours.

python docs/make_picture.py
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "check.svg"
FOLDER, MODEL = ROOT / "fixtures" / "patterns", "body_max_pool.tflite"
WIDTH = 80
sys.path.insert(0, str(ROOT))


class Screen(io.TextIOWrapper):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def printed(*arguments: str) -> str:
    """What a call of xnnlint prints in a terminal of 80 columns, with colours, in the folder of the model."""
    from xnnlint.cli import app

    screen, before = Screen(io.BytesIO(), encoding="utf-8"), (sys.stdout, sys.argv, Path.cwd(), dict(os.environ))
    os.chdir(FOLDER)
    os.environ |= {"COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    os.environ.pop("NO_COLOR", None)
    sys.stdout, sys.argv = screen, ["xnnlint", *arguments]
    try:
        app.main()
    except SystemExit:
        pass
    finally:
        sys.stdout, sys.argv, folder, environment = before
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
    screen.flush()
    return screen.buffer.getvalue().decode()


def svg(text: str, title: str) -> str:
    """Text with colours as a picture that loads nothing from elsewhere."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text.rstrip()), soft_wrap=True)
    drawn = console.export_svg(title=title, unique_id="xnnlint")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code, ", "")


def picture() -> str:
    """The README's."""
    return svg(printed("check", MODEL), f"xnnlint check {MODEL}")


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
