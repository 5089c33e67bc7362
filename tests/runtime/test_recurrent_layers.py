"""A CNN with pruned 1x1 convolutions and a recurrent layer behind it: Keras file, converted file and run agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import xnnlint
from xnnlint.cli import app as cli
from xnnlint.linter.findings import ModelReport
from xnnlint.runtime.tensorflow_converter import convert
from xnnlint.runtime.verify import choose, verify_each

pytestmark = [pytest.mark.tensorflow, pytest.mark.judge]


def network(keras: Any, layer: Any) -> Any:
    """Columns of an image's map, one after the other; 80% of the 1x1 weights are zero."""
    import numpy as np

    layers = keras.layers
    x = keras.Input((16, 24, 3), batch_size=1)
    y = layers.Conv2D(16, 3, strides=2, activation="relu")(layers.ZeroPadding2D(1)(x))
    y = layers.Conv2D(32, 1, activation="relu")(y)
    y = layers.DepthwiseConv2D(3, activation="relu", padding="same")(y)
    y = layers.AveragePooling2D((8, 1))(layers.Conv2D(24, 1, activation="relu")(y))
    model = keras.Model(x, layers.Dense(5, activation="softmax")(layer(layers.Reshape((12, 24))(y))))
    rng = np.random.default_rng(0)
    for part in model.layers:
        if isinstance(part, layers.Conv2D) and part.kernel_size == (1, 1):
            kernel, bias = part.get_weights()
            kernel.reshape(-1)[rng.permutation(kernel.size)[: round(0.8 * kernel.size)]] = 0
            part.set_weights([kernel, bias])
    return model


@pytest.fixture(scope="module", params=["lstm", "both"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    import keras

    lstm = keras.layers.LSTM(16, dropout=0.1)
    layer = lstm if request.param == "lstm" else keras.layers.Bidirectional(keras.layers.GRU(8))
    path = tmp_path_factory.mktemp("recurrent") / "model.keras"
    network(keras, layer).save(path)
    converted = path.with_suffix(".tflite")
    converted.write_bytes(convert(path))
    return path, converted


def told(report: ModelReport) -> Any:
    plan = report.plan
    assert plan is not None
    called = [(c.subgraph, c.op, [k.kernel for k in c.plan.operators], sorted(c.plan.tflite_ops)) for c in plan.called]
    return plan.outcome, [k.kernel for k in plan.operators], sorted(plan.tflite_ops), called


def test_forecast_plan_and_run_agree(files: tuple[Path, Path]) -> None:
    source, converted = files
    forecast, plan = xnnlint.lint(source), xnnlint.lint(converted)
    assert told(forecast) == told(plan)
    assert [(f.rule, f.severity, f.location.op) for f in forecast.findings] == [
        (f.rule, f.severity, f.location.op) for f in plan.findings
    ]
    (found,) = verify_each([converted], choose())
    assert found.agrees, (found.differs, found.error)
    bodies = {row.subgraph for row in found.rows if row.observed == "Fully Connected (NC, F32) GEMM"} - {None}
    assert len(bodies) == sum(op.type == "WHILE" for op in plan.plan.graph.operators if plan.plan is not None)


def test_what_convert_and_fix_make_of_it_is_what_check_says(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = files
    fixes = xnnlint.lint(source).fixes
    assert fixes is not None and fixes.converted is not None
    assert (fixes.converted.outcome.value, fixes.converted.spmm) == ("sparse", 2)
    target = tmp_path / "fixed.tflite"
    monkeypatch.setattr("sys.argv", ["xnnlint", "convert", "--fix", str(source), "-o", str(target)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    (found,) = verify_each([target], choose())
    assert found.agrees and found.observation is not None and found.observation.spmm == 2
