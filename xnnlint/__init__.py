"""xnnlint says before you ship whether a pruned model will run XNNPACK's sparse kernels, and whether it is right."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xnnlint.late_names import late_names
from xnnlint.version import __version__

if TYPE_CHECKING:
    from xnnlint.errors import XnnlintError
    from xnnlint.linter.findings import Severity
    from xnnlint.reporters.library import Report
    from xnnlint.xnnpack.plan import Outcome

__all__ = ["Outcome", "Report", "Severity", "XnnlintError", "__version__", "fix", "lint"]

# Where the names are that are imported once they are asked for: `import xnnlint` costs nothing.
_LATE = {
    "Outcome": "xnnlint.xnnpack.plan",
    "Report": "xnnlint.reporters.library",
    "Severity": "xnnlint.linter.findings",
    "XnnlintError": "xnnlint.errors",
}


__getattr__ = late_names(__name__, _LATE)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def lint(
    model: Any,
    *,
    runtime: str | None = None,
    cpu: str | None = None,
    assume_pruned: float | None = None,
    require_sparse: bool = False,
    layers: Mapping[str, str] | None = None,
) -> Report:
    """Checks a model that is in memory, or a file.

    Args:
        model: a Functional or Sequential model of tf_keras or Keras 3, which is neither run nor changed; or a path; or
            "module:function", which is imported and run to make a Keras model. Findings are those of the saved file.
        runtime: the runtime to predict for, as in `xnnlint profiles`; by default the newest LiteRT that is known.
        cpu: the CPU to predict for, as in `xnnlint profiles`.
        assume_pruned: the share of zeros, from 0 to 1, that the 1x1 convolutions of a Keras model are taken to have; by
            default they are taken as they are. Of a .tflite file only `if_pruned` of the report takes them so.
        require_sparse: a model that does not run sparse is an error, even if it only isn't pruned yet.
        layers: what layers of a Keras model are whose code is not read, by their names or classes: "identity",
            "elementwise", or "module:function", which is imported and called with the layer's config, and gives the
            layers of Keras in its place.

    Returns:
        The report: `outcome`, `summary`, `findings`, `kernels`, `gain`, `to_dict()` and more; docs/library.md has
        examples.

    Raises:
        XnnlintError: the model cannot be read, or the runtime or CPU is not known.
    """
    from xnnlint.collection import rare_collection
    from xnnlint.linter.engine import check_loaded
    from xnnlint.linter.wanted import Wanted
    from xnnlint.loaders import load_any
    from xnnlint.reporters.library import Report
    from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

    profile = load_profile(runtime or DEFAULT_RUNTIME, cpu or DEFAULT_CPU)
    wanted = Wanted(() if assume_pruned is None else (assume_pruned,))
    with rare_collection():
        loaded = load_any(model, assume_pruned=assume_pruned, layers=layers)
        report = check_loaded(loaded, profile, require_sparse=require_sparse, wanted=wanted)
        if report.needs_fixes:
            from xnnlint.fixes.check_fixes import add_fixes

            add_fixes(report, profile)
    return Report.of(report)


def fix(
    model: Any,
    *,
    unsafe_fixes: bool = False,
    assume_pruned: float | None = None,
    goal: str = "runtime",
    runtime: str = "",
    cpu: str = "",
    output: str | os.PathLike[str] = "",
    prove: bool = True,
) -> Any:
    """A new model, changed so that it runs sparse and right; the one that is given stays as it is.

    Args:
        model: a Functional or Sequential model of tf_keras or Keras 3; or a .tflite, .keras or .h5 file.
        unsafe_fixes: whether what it computes may change, so that it must be trained again.
        assume_pruned: the share of zeros, from 0 to 1, to plan for; by default 0.8 if it is not pruned yet.
        goal: "runtime", or "policy" for a model that TFMOT's pruning policy takes, too.
        runtime: the runtime to plan for, as in `xnnlint profiles`; by default the newest LiteRT that is known.
        cpu: the CPU to plan for, as in `xnnlint profiles`.
        output: of a file, where to write the new one.
        prove: of a .tflite file, whether it is run before it is written, which needs the extra `verify`.

    Returns:
        Of a model in memory the new model, not compiled, with the same weights. Of a file `output`, the path of the new
        one; without any change that is a copy.

    Raises:
        XnnlintError: the model cannot be saved, read or built again, a new file cannot be written or proven, or the
            runtime or CPU is not known.
    """
    from xnnlint.fixes.keras.in_memory import fix_model
    from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME

    runtime, cpu = runtime or DEFAULT_RUNTIME, cpu or DEFAULT_CPU
    if isinstance(model, str | os.PathLike):
        from xnnlint.fixes.request import FixRequest
        from xnnlint.fixes.to_file import fix_file
        from xnnlint.xnnpack.profile import load_profile

        policy = goal == "policy"
        request = FixRequest(load_profile(runtime, cpu), unsafe_fixes, assume_pruned=assume_pruned, policy=policy)
        return fix_file(os.fspath(model), os.fspath(output), request, proof=prove)
    fixed, _ = fix_model(
        model, unsafe_fixes=unsafe_fixes, assume_pruned=assume_pruned, goal=goal, runtime=runtime, cpu=cpu
    )
    return fixed
