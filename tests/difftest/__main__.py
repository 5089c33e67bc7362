"""`python -m tests.difftest`: hunts for disagreements between the prediction and the real runtime.

python -m tests.difftest --graphs 2000 --seed 100000      random graphs
python -m tests.difftest --patterns                       the hand-made models
python -m tests.difftest --files MODEL.tflite FOLDER      models from files
python -m tests.difftest --shrink FOLDER/recipe.json      a disagreement to its minimum
python -m tests.difftest --write FOLDER --graphs 10       only writes the models
python -m tests.difftest matrix --help                    docs/matrix.md
python -m tests.difftest fix --help                       figures on the fixes of .tflite files
python -m tests.difftest advice --help                    figures on advice that was followed
python -m tests.difftest native --help                    AVX masked against emulated
python -m tests.difftest nightly                          the newest nightly LiteRT against the newest profile
python -m tests.difftest tensorflow 2.20.0 --runtime ...  the interpreter of a TensorFlow wheel
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tests.difftest.compare import Predictor, plan_predictor
from tests.difftest.hunt import Case, Tally, file_cases, hunt, pattern_cases, random_cases
from xnnlint.errors import XnnlintError

AGREE, DISAGREE, TROUBLE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: no disagreement; 1: some; 2: it could not run."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["matrix"]:
        from tests.difftest import matrix

        return matrix.main(arguments[1:])
    if arguments[:1] == ["fix"]:
        from tests.difftest import fixing

        return fixing.main(arguments[1:])
    if arguments[:1] == ["advice"]:
        from tests.difftest import advice

        return advice.main(arguments[1:])
    if arguments[:1] == ["native"]:
        from tests.difftest import native

        return native.main(arguments[1:])
    if arguments[:1] == ["nightly"]:
        from tests.difftest import nightly

        return nightly.main(arguments[1:])
    if arguments[:1] == ["tensorflow"]:
        from tests.difftest import tensorflow_wheels

        return tensorflow_wheels.main(arguments[1:])
    options = _parser().parse_args(arguments)
    try:
        if options.write:
            return _write(_cases(options), options.write)
        if options.shrink:
            return _shrink(options)
        return _hunt(options)
    except XnnlintError as error:
        print(f"tests.difftest: {error}", file=sys.stderr)
        return TROUBLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.difftest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--graphs", type=int, default=300, metavar="N", help="number of random graphs (default 300)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="number of the first (default 0)")
    parser.add_argument("--patterns", action="store_true", help="the hand-made models instead of random graphs")
    parser.add_argument("--files", nargs="+", metavar="PATH", help="models (or recipes, .json) from files or folders")
    parser.add_argument("--shrink", type=Path, metavar="RECIPE", help="shrink the disagreement of this recipe")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="only write the models into this folder")
    parser.add_argument(
        "--out", type=Path, default=Path("difftest-out"), metavar="FOLDER", help="progress and findings"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many models at once (default 1)")
    parser.add_argument("--runtime", default="litert-2.3", help="runtime profile that predicts (default litert-2.3)")
    parser.add_argument("--cpu", default="auto", help="CPU that runs: auto (one with the sparse path), x86-avx, arm64")
    parser.add_argument("--litert-version", metavar="VERSION", help="LiteRT release that runs (default: the installed)")
    parser.add_argument("--input-seeds", type=int, default=2, help="random inputs per model (default 2)")
    return parser


def _cases(options: argparse.Namespace) -> list[Case]:
    if options.patterns:
        return pattern_cases()
    return file_cases(options.files) if options.files else random_cases(options.seed, options.graphs)


def _setting(options: argparse.Namespace) -> tuple[Predictor, dict[str, Any]]:
    from xnnlint.runtime import targets

    target = targets.resolve(options.cpu, options.litert_version)
    observing = {"cpu": options.cpu, "litert_version": options.litert_version, "seeds": range(options.input_seeds)}
    return plan_predictor(options.runtime, target.cpu), observing


def _hunt(options: argparse.Namespace) -> int:
    predictor, observing = _setting(options)

    def report(tally: Tally) -> None:
        print(f"{len(tally.lines)} models, {len(tally.disagreements)} disagree", file=sys.stderr, flush=True)

    tally = hunt(_cases(options), predictor, options.out, jobs=options.jobs, report=report, **observing)
    print(tally.summary())
    if tally.disagreements:
        print(f"models, recipes and both views: {options.out / 'disagreements'}")
    return DISAGREE if tally.disagreements else AGREE


def _shrink(options: argparse.Namespace) -> int:
    from tests.difftest.recipe import Recipe, build
    from tests.difftest.shrink import SameDisagreement, shrink

    predictor, observing = _setting(options)
    recipe = Recipe.from_json(options.shrink.read_text(encoding="utf-8"))
    disagrees = SameDisagreement(predictor, **observing)
    try:
        small = shrink(recipe, disagrees, steps=lambda left: print(f"{left} steps left", file=sys.stderr, flush=True))
        comparison = disagrees.compare(build(small))
    finally:
        disagrees.close()
    place = options.shrink.parent
    (place / "small.tflite").write_bytes(build(small))
    (place / "small.json").write_text(small.to_json(), encoding="utf-8")
    print(f"{', '.join(comparison.differs)}: predicted {comparison.prediction.outcome}, ", end="")
    print(f"observed {comparison.observation.outcome}")
    for step in small.steps:
        print("  ", {key: value for key, value in step.items()})
    print(f"outputs {small.outputs}")
    for predicted, observed in _beside(comparison.prediction.operators, comparison.observation.kernels or ()):
        print(f"  {'  ' if predicted == observed else '! '}{predicted:45} {observed}")
    print(f"{place / 'small.tflite'}")
    return DISAGREE


def _beside(left: tuple[str, ...], right: tuple[str, ...]) -> list[tuple[str, str]]:
    size = max(len(left), len(right))
    return [(left[i] if i < len(left) else "", right[i] if i < len(right) else "") for i in range(size)]


def _write(cases: list[Case], folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases:
        model, recipe = case.make()
        (folder / f"{case.name}.tflite").write_bytes(model)
        if recipe is not None:
            (folder / f"{case.name}.json").write_text(recipe.to_json(), encoding="utf-8")
    print(f"{len(cases)} models in {folder}")
    return AGREE


if __name__ == "__main__":
    sys.exit(main())
