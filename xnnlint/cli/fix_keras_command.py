"""What `xnnlint fix` does with a Keras model."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.cli.fixed_model import FixedModel
from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.fixes.keras.config_search import ConfigRepair
    from xnnlint.fixes.request import FixRequest


class KerasFixes(Struct, frozen=True):
    """The fixing of Keras models, one after the other.

    Attributes:
        in_place: whether the target is the model itself, which stays as it is where nothing is changed.
        with_proof: whether a changed model is converted and run first.
    """

    options: FixRequest
    in_place: bool = False
    with_proof: bool = False

    def fix(self, model: str, target: str, backup: str) -> FixedModel:
        """Finds out what to change in one model, and writes it where there is a target."""
        from xnnlint.fixes.keras.config_search import repair
        from xnnlint.fixes.remedies import ask_unsafe_fixes
        from xnnlint.reporters.fix_json import repair_data
        from xnnlint.reporters.fix_text import repair_lines

        done = repair(model, self.options)
        # Before it is written, maybe over the model itself.
        ask_unsafe_fixes(done, self.options)
        if target and (done.changes or not self.in_place):
            self._write(done, target, backup)
        elif self.with_proof and done.changes:
            self._prove(done)
        lines = partial(repair_lines, done)
        return FixedModel(bool(done.changes), done.exit_code, lines, partial(repair_data, done))

    def _write(self, done: ConfigRepair, target: str, backup: str) -> None:
        """Writes the model; with a proof, only once it has been run."""
        from xnnlint.fixes.keras.config_writer import write

        def check(drafted: str) -> list[str]:
            if not self.with_proof or not done.changes:
                return []
            from xnnlint.fixes.keras.conversion_proof import prove

            return prove(done, self.options, drafted)

        try:
            write(done, target, backup=backup, check=check)
        except OSError as error:
            raise XnnlintError(f"{target}: not written: {error.strerror or error}") from None

    def _prove(self, done: ConfigRepair) -> None:
        """The proof of a model that is not written."""
        from xnnlint.fixes.keras.archive import Archive
        from xnnlint.fixes.keras.config_writer import write_draft
        from xnnlint.fixes.keras.conversion_proof import prove

        with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
            path = str(Path(folder, f"fixed{Path(done.path).suffix}"))
            write_draft(done, Archive(done.path), path)
            done.add_facts(prove(done, self.options, path))
