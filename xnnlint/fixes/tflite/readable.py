"""A file as TensorFlow's converter wrote it, made such that every runtime reads its weights as they are meant."""

from __future__ import annotations

from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.editor import Edit
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.rescues.misread_weights import is_misreading, misread, store_misread_dense
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile


def readable(data: bytes, path: str) -> tuple[bytes, list[str]]:
    """The file with those weights stored dense whose reader does not know how they are stored, in any runtime.

    Args:
        data: the file; `path` is only its name.

    Returns:
        The same bytes where nothing is misread, and the operators whose weights are dense now.

    Raises:
        ModelError: it cannot be changed without loss.
        XnnlintError: no module knows the schema, with what to install.
    """
    profile = load_profile()  # All runtimes misread the same.
    plan = make_plan(load_bytes(data, path), profile)
    if not any(map(is_misreading, plan.hazards)):
        return data, []
    edit = Edit.open(data, path)
    view = View(edit.main, plan, FixRequest(profile))
    places = list(dict.fromkeys(view.place(op) for op, _ in misread(view)))
    store_misread_dense(view)
    return edit.to_bytes(), places
