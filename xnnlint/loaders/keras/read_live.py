"""Reads a model that is in memory: one of tf_keras or of Keras 3, whatever its backend.

Neither package is imported here. The model gives its own config, as when it is saved, and hands out its weights; it is
never called on data. `load_callable` is the one place where code of the user's runs, because the user names it.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from xnnlint.errors import ModelError, XnnlintError
from xnnlint.keras.description import KerasModel
from xnnlint.loaders.keras.read_config import Unreadable, parse_json, read_model
from xnnlint.loaders.keras.read_h5 import name_variables

if TYPE_CHECKING:
    import numpy as np

_NO_MODEL = "give a Keras model, or the path of a model file"


def read_live(model: Any) -> KerasModel:
    """Reads a model object.

    Args:
        model: a Functional or Sequential model.

    Raises:
        ModelError: it is none, or does not give its config; its `path` is the model's name.
    """
    name = str(getattr(model, "name", "") or type(model).__name__)
    if not all(hasattr(type(model), attribute) for attribute in ("get_config", "to_json", "layers", "weights")):
        raise ModelError(name, f"{type(model).__name__} is no Keras model", _NO_MODEL)
    try:
        text = model.to_json()
    except Exception as error:
        # Whatever the layers' own get_config raises; Keras raises NotImplementedError for subclassed models.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelError(
            name, f"the model does not give its config ({reason})", "build it with the Functional API"
        ) from None
    try:
        entry = parse_json(text, "its config")
        # to_json of Keras 2 names no modules.
        read = read_model(entry, "3" if isinstance(entry, dict) and "module" in entry else "2")
        _attach(read, model)
    except Unreadable as fault:
        raise ModelError(name, fault.problem, fault.advice) from None
    read.name = name
    return read


def load_callable(target: str) -> Any:
    """What a function of the user's returns. This imports and runs the user's code: call it only where they ask for it.

    What that code prints goes to stderr, since stdout is for the report.

    Args:
        target: "package.module:function"; the function takes no arguments. A name of something else than a function is
            taken as it is. The current folder is searched first.

    Raises:
        XnnlintError: there is no such module or name, or its code fails.
    """
    with _user_code():
        value = _named(target)
        is_model = hasattr(value, "get_config") and not isinstance(value, type)
        return _run(target, "calling it", value) if callable(value) and not is_model else value


def call_named(target: str, argument: Any) -> Any:
    """The same for a function with one argument.

    Raises:
        XnnlintError: as `load_callable`; or it is no function.
    """
    with _user_code():
        value = _named(target)
        if not callable(value):
            raise XnnlintError(f"{target}: it is no function")
        return _run(target, "calling it", lambda: value(argument))


@contextlib.contextmanager
def _user_code() -> Iterator[None]:
    """The current folder is searched for modules first, and what is printed goes to stderr."""
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def _named(target: str) -> Any:
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise XnnlintError(f"{target!r} is not of the form module:function")
    try:
        value = _run(target, f"importing {module_name}", lambda: importlib.import_module(module_name))
    except _Missing as missing:
        raise XnnlintError(f"{target}: there is no module {missing.name!r} here or in {sys.executable}") from None
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise XnnlintError(f"{target}: {module_name} has no {attribute!r}")
        value = getattr(value, part)
    return value


class _Missing(XnnlintError):
    """The module that was asked for is not there, as opposed to one that it imports itself."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _run(target: str, what: str, code: Callable[[], Any]) -> Any:
    """Runs the user's code, and turns whatever it raises into one sentence; only Ctrl-C goes through."""
    try:
        return code()
    except (Exception, SystemExit) as error:
        module = target.partition(":")[0]
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            raise _Missing(error.name) from None
        reason = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
        raise XnnlintError(f"{target}: {what} failed ({reason})") from error


def _attach(model: KerasModel, live: Any) -> None:
    by_name = {part.name: part for part in live.layers}
    for layer in model.layers:
        part = by_name.get(layer.wrapper or layer.name)
        if part is None:
            continue
        if layer.model is not None:
            _attach(layer.model, part)
        else:
            name_variables(layer, _by_name(part.weights))
            # get_config of the wrapper leaves the pattern out.
            pattern = getattr(part, "sparsity_m_by_n", None)
            if layer.schedule is not None and pattern:
                layer.schedule = replace(layer.schedule, pattern=(int(pattern[0]), int(pattern[1])))


def _by_name(variables: Iterable[Any]) -> dict[str, Callable[[], np.ndarray]]:
    found: dict[str, Callable[[], np.ndarray]] = {}
    for variable in variables:
        # tf_keras has "conv/kernel:0" as a name, Keras 3 has "kernel", and "conv/kernel" as a path.
        name = str(getattr(variable, "path", None) or variable.name)
        found[name if name not in found else f"{len(found)}/{name}"] = _reader(variable)
    return found


def _reader(variable: Any) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        import numpy as np

        values = np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable)
        if values.dtype.kind == "V":
            # ml_dtypes' bfloat16, of which numpy itself knows nothing.
            values = values.astype(np.float32)
        values = values.view()
        values.flags.writeable = False
        return values

    return read
