"""What `xnnlint fix` does with a .tflite file."""

from __future__ import annotations

import atexit
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct, field
from msgspec.structs import replace

from xnnlint.cli.config_options import share_option
from xnnlint.cli.fixed_model import FixedModel
from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.fixes.request import FixRequest
    from xnnlint.fixes.tflite.file_fixer import FileFixer


class TfliteOptions(Struct, frozen=True):
    """The options that only .tflite files have."""

    select: Annotated[
        str, typer.Option(metavar="NAMES", help="Of a .tflite file: only these fixes, with commas between them.")
    ] = ""
    ignore: Annotated[str, typer.Option(metavar="NAMES", help="Of a .tflite file: all fixes but these.")] = ""
    batch: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, show_default=False, help="Of a .tflite file: set a dynamic batch to N, which must be 1."
        ),
    ] = 0
    prune: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Of a .tflite file, with --unsafe-fixes: prune the 1x1 kernels, to measure what pruning would bring.",
        ),
    ] = ""
    no_proof: Annotated[bool, typer.Option("--no-proof", help="Of a .tflite file: write it without having run it.")] = (
        False
    )


class TfliteFixes(Struct, dict=True):
    """The fixing of .tflite files, one after the other.

    Attributes:
        request: what is asked of all kinds of files.
        diff: whether every place is shown, and nothing written.
        usual_select, usual_ignore: names of fixes from the configuration, where the options name none.
    """

    request: FixRequest
    options: TfliteOptions = field(default_factory=TfliteOptions)
    diff: bool = False
    usual_select: tuple[str, ...] = ()
    usual_ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._fixer: FileFixer | None = None
        self._share = share_option("--prune", self.options.prune, with_ends=False)
        if self.options.batch not in (0, 1):
            raise XnnlintError(f"--batch {self.options.batch}: of a .tflite file the batch can only be fixed to 1")
        if self.options.prune and not self.request.unsafe:
            raise XnnlintError("--prune changes what the model computes: give --unsafe-fixes, too")

    def takes(self, model: str) -> bool:
        """Whether a path is a .tflite file.

        Raises:
            XnnlintError: it is not, and an option was given that only those have.
        """
        from xnnlint.fixes.tflite.file_fixer import is_tflite

        if is_tflite(model):
            return True
        of_tflite = ("select", "ignore", "batch", "prune")
        wrong = [f"--{name}" for name in of_tflite if getattr(self.options, name)]
        if wrong:
            raise XnnlintError(f"{model}: {' and '.join(wrong)} can be asked of .tflite files only")
        return False

    def fix(self, model: str, target: str, backup: str) -> FixedModel:
        """See `fixes.tflite.file_fixer.FileFixer.fix`."""
        from xnnlint.fixes.remedies import ask_unsafe_fixes
        from xnnlint.reporters.fix_json import repair_data
        from xnnlint.reporters.fix_text import repair_lines

        if self._fixer is None:
            from xnnlint.fixes.tflite.file_fixer import FileFixer

            given = self.options
            select = _names(given.select) or self.usual_select
            ignore = _names(given.ignore) or (() if given.select else self.usual_ignore)
            request = replace(self.request, select=select, ignore=ignore, batch=given.batch or None, prune=self._share)
            self._fixer = FileFixer(request, proof=not given.no_proof)
            atexit.register(self._fixer.__exit__)
        done = self._fixer.fix(model, target, backup=backup)
        ask_unsafe_fixes(done, self._fixer.options)
        lines = partial(repair_lines, done, diff=self.diff)
        return FixedModel(bool(done.changes), done.exit_code, lines, partial(repair_data, done))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
