"""`xnnlint.fix` of a file: the changes of either kind of files, written to another one."""

from __future__ import annotations

import shutil
from pathlib import Path

from xnnlint.errors import XnnlintError
from xnnlint.fixes.request import FixRequest


def fix_file(path: str, output: str, request: FixRequest, *, proof: bool = True) -> str:
    """Fixes a .tflite file or a Keras model.

    Args:
        path: a .tflite, .keras or .h5 file.
        output: where to write the new one, in the same format; an existing file is replaced.
        proof: of a .tflite file, whether it is run before it is written.

    Returns:
        `output`. Where nothing is to be changed, or nothing that pays, it is a copy.

    Raises:
        XnnlintError: there is no output, it is the file itself or of another format, or nothing can be written.
    """
    if not output:
        raise XnnlintError(f"{path}: say where to write the fixed file, with output=...")
    place, target = Path(path), Path(output)
    if target.suffix.lower() != place.suffix.lower():
        raise XnnlintError(f"{output}: the format stays that of the model; end its name in {place.suffix!r}")
    if target.exists() and place.exists() and target.samefile(place):
        raise XnnlintError(f"{output} is the model itself; name another file")
    from xnnlint.fixes.tflite.file_fixer import FileFixer, is_tflite

    if is_tflite(path):
        with FileFixer(request, proof=proof) as fixer:
            done = fixer.fix(path, output)
        if not done.written:
            shutil.copyfile(path, output)
        return output
    from xnnlint.fixes.keras.config_search import repair
    from xnnlint.fixes.keras.config_writer import write

    write(repair(path, request), output)
    return output
