"""What `xnnlint fix` does with a .tflite file."""

from __future__ import annotations

import atexit
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xnnlint.cli.config_options import share_option
from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.file_fixer import Fixer, TfliteRepair
    from xnnlint.xnnpack.profile import Profile


@dataclass
class TfliteFixes:
    """The options that only .tflite files have, and the fixing itself, one file after the other.

    Attributes:
        select, ignore: names of fixes, with commas between them.
        batch: what a dynamic batch becomes; 0 leaves it.
        prune: share of zeros as text, "" for none.
        diff: whether every place is shown, and nothing written.
        usual_select, usual_ignore: names of fixes from the configuration, where the options name none.
    """

    profile: Profile
    unsafe: bool = False
    diff: bool = False
    select: str = ""
    ignore: str = ""
    batch: int = 0
    prune: str = ""
    proof: bool = True
    usual_select: tuple[str, ...] = ()
    usual_ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._fixer: Fixer | None = None
        self._share = share_option("--prune", self.prune, with_ends=False)
        if self.batch not in (0, 1):
            raise XnnlintError(f"--batch {self.batch}: of a .tflite file the batch can only be fixed to 1")
        if self.prune and not self.unsafe:
            raise XnnlintError("--prune changes what the model computes: give --unsafe-fixes, too")

    def takes(self, model: str) -> bool:
        """Whether a path is a .tflite file.

        Raises:
            XnnlintError: it is not, and an option was given that only those have.
        """
        from xnnlint.fixes.tflite.file_fixer import is_tflite

        if is_tflite(model):
            return True
        given = {"select": self.select, "ignore": self.ignore, "batch": self.batch, "prune": self.prune}
        wrong = [f"--{name}" for name, value in given.items() if value]
        if wrong:
            raise XnnlintError(f"{model}: {' and '.join(wrong)} can be asked of .tflite files only")
        return False

    def fix(self, model: str, target: str, backup: str) -> TfliteRepair:
        """See `fixes.tflite.repair.Fixer.fix`."""
        if self._fixer is None:
            from xnnlint.fixes.tflite.file_fixer import Fixer
            from xnnlint.fixes.tflite.search_changes import Options

            settings: dict[str, Any] = {"batch": self.batch} if self.batch else {}
            if self._share is not None:
                settings["prune"] = self._share
            select = _names(self.select) or self.usual_select
            ignore = _names(self.ignore) or (() if self.select else self.usual_ignore)
            options = Options(self.profile, self.unsafe, select, ignore, settings)
            self._fixer = Fixer(options, proof=self.proof)
            atexit.register(self._fixer.__exit__)
        return self._fixer.fix(model, target, backup=backup)

    def data(self, done: TfliteRepair) -> dict[str, Any]:
        from xnnlint.fixes.tflite.file_report import repair_data

        return repair_data(done)

    def print(self, done: TfliteRepair) -> None:
        from xnnlint.cli.console import writing
        from xnnlint.fixes.tflite.file_report import repair_lines
        from xnnlint.reporters.styled_lines import Printer

        printer = Printer()
        with writing():
            printer.print(repair_lines(done, printer.width, unsafe=self.unsafe, diff=self.diff))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
