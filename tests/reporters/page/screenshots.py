"""Pages of three models as a browser shows them, to be looked at: `python -m tests.reporters.page.screenshots FOLDER`.

The guide's model, pose_detection of mediapipe, and a MobileNetV2 of Keras beside what `xnnlint fix` makes of it; at
1400 and 400 pixels' width, light and dark, with the first marked operator, or sparse one, selected.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cli.program import spawn
from tests.models import FIXTURES, Unavailable, mediapipe_models
from tests.reporters.page.browser import absent, chromium

WIDTHS = (1400, 400)
_SELECT = """
const op = document.querySelector('.op.at-wrong, .op.at-blocker') || document.querySelector('.op.spmm');
if (op) op.dispatchEvent(new MouseEvent('click', {bubbles: true}));
"""


def main(folder: str) -> int:
    """Write the pages and the pictures; the exit code is 1 where a page says something on its console."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    if lacking := absent():
        print(f"no page can be opened: no {', '.join(lacking)}", file=sys.stderr)
        return 2
    models = {
        "guide": [str(FIXTURES / "guide_sparse.tflite")],
        "mobilenet_v2_fixed": [str(FIXTURES / "cases" / "tfk_mbv2_same.keras"), "--fix", "--unsafe-fixes"],
    }
    try:
        models["pose_detection"] = [str(mediapipe_models() / "pose_detection" / "pose_detection.tflite")]
    except Unavailable as error:
        print(f"pose_detection is left out: {error}", file=sys.stderr)
    complaints = []
    with chromium() as browser:
        for name, arguments in models.items():
            page = target / f"{name}.html"
            done = spawn("report", *arguments, "-o", str(page), timeout=300)
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                return 1
            for width in WIDTHS:
                for dark in (False, True):
                    browser.open(page.resolve(), width, dark=dark)
                    browser.script(_SELECT)
                    picture = target / f"{name}-{width}-{'dark' if dark else 'light'}.png"
                    picture.write_bytes(browser.picture(whole=True))
                    complaints += browser.told()[0]
    print("\n".join(complaints) or f"{len(models) * len(WIDTHS) * 2} pictures in {target}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "screenshots"))
