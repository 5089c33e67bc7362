"""What a model gains, what it would gain, and what its weights take, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xnnlint.reporters.finding_words import share_text
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.cost import Gain, Prediction
    from xnnlint.linter.findings import ModelReport
    from xnnlint.linter.pruning_forecast import PruningForecast
    from xnnlint.model.stored_size import StoredSize

_INSTEAD = {
    Outcome.DENSE: "the model runs dense all the same: pruning alone gains nothing",
    Outcome.WRONG_RESULTS: "the model gives wrong results",
    Outcome.FAILS: "the model fails",
}
_CPUS = {"arm64": "ARM"}


# --- speed -----------------------------------------------------------------------------------------------------------


def now_sentence(model: ModelReport) -> str:
    """What a model gains that runs sparse and right; "" of all others, and where `pruned_lines` say it."""
    gain = model.speed.now if model.speed is not None else None
    if gain is None or (model.plan is not None and model.plan.model.assume_pruned is not None):
        return ""
    words = f"{_gain(gain)}; {share_text(gain.dense.pointwise)} of the dense time is in 1x1 convolutions."
    return words[0].upper() + words[1:]


def if_fixed_sentence(model: ModelReport, changes: int) -> str:
    """What the smallest set of changes brings at most; "" where that is not known.

    Args:
        changes: how many these are.
    """
    gain = model.speed.if_fixed if model.speed is not None else None
    if gain is None or (gain.share is not None and model.if_pruned):
        return ""  # --assume-pruned says it for the shares that were asked for.
    zeros = "" if gain.share is None else f"with {share_text(gain.share)} zeros"
    if _is_slower(gain):
        return f"Even then {_gain(gain, zeros)}."
    return f"{'With it' if changes == 1 else 'If all are made'}, at most {_gain(gain, zeros)}."


def _gain(gain: Gain, condition: str = "") -> str:
    """ "about 1.8 times as fast as dense, 1.4 to 2.2 (...)": in one decimal, since more is not known."""
    ratio, between = f"{gain.ratio:.1f}", f"{gain.low:.1f} to {gain.high:.1f}"
    notes = "; ".join(filter(None, (condition, not_measured(gain.sparse))))
    behind = f" ({notes})" if notes else ""
    if _is_slower(gain):
        return f"slower than dense: {ratio} times as fast, {between}{behind}"
    if ratio == "1.0":
        return f"about as fast as dense, {between} times{behind}"
    return f"about {ratio} times as fast as dense, {between}{behind}"


def _is_slower(gain: Gain) -> bool:
    """Whether the figure that is shown says so."""
    return round(gain.ratio, 1) < 1


def not_measured(prediction: Prediction) -> str:
    """That figures are scaled from another CPU's; "" where they are not."""
    cpu = prediction.profile.cpu
    return "" if prediction.measured_on_cpu else f"not measured on {_CPUS.get(cpu, cpu)}"


# --- --assume-pruned -------------------------------------------------------------------------------------------------


def pruned_sentence(forecast: PruningForecast) -> str:
    """What becomes of the model if it is pruned."""
    begin = f"If {share_text(forecast.share)} of every 1x1 kernel is pruned,"
    if forecast.outcome is not Outcome.SPARSE:
        return f"{begin} {_INSTEAD[forecast.outcome]}."
    what = "1x1 convolution goes" if forecast.pointwise_convs == 1 else "1x1 convolutions go"
    words = f"{begin} {forecast.spmm} of {forecast.pointwise_convs} {what} sparse"
    if forecast.macs is not None:
        words += f", {forecast.macs:.0%} of all MACs"
    if forecast.gain is None:
        return f"{words}."
    at_most = "" if _is_slower(forecast.gain) else "at most "
    return f"{words}: {at_most}{_gain(forecast.gain)}."


def pruned_table(forecasts: tuple[PruningForecast, ...]) -> Iterator[str]:
    """The same of several shares, a line each."""
    gains = [forecast.gain for forecast in forecasts if forecast.gain is not None]
    note = not_measured(gains[0].sparse) if gains else ""
    title = "times as fast as dense, at most" if gains else ""
    counts = [f"{forecast.spmm} of {forecast.pointwise_convs}" for forecast in forecasts]
    width = max(map(len, counts))
    yield f"zeros  {'SpMM'.ljust(width)}  {title}{f' ({note})' if note else ''}".rstrip()
    for forecast, count in zip(forecasts, counts, strict=True):
        gain = forecast.gain
        figure = "" if gain is None else f"{gain.ratio:.1f} ({gain.low:.1f} to {gain.high:.1f})"
        if forecast.outcome is not Outcome.SPARSE:
            figure = _INSTEAD[forecast.outcome].partition(":")[0]
        yield f"{share_text(forecast.share).rjust(5)}  {count.ljust(width)}  {figure}".rstrip()


# --- size ------------------------------------------------------------------------------------------------------------


def size_sentence(size: StoredSize, now_is: str = "as now") -> str:
    """What pruned weights take in the file, and in other forms.

    Args:
        now_is: what to call the form of `size.now`.
    """
    dense, sparse = f"{bytes_text(size.dense)} stored dense", f"{bytes_text(size.sparse)} stored sparse"
    now = ""
    if size.now == size.dense:
        dense += f" ({now_is})"
    elif size.now == size.sparse:
        sparse += f" ({now_is})"
    else:
        now = f"{bytes_text(size.now)} now, "
    gzipped = "" if size.gzipped is None else f", {bytes_text(size.gzipped)} gzipped"
    return f"Pruned weights: {now}{dense}, {sparse}{gzipped}."


def bytes_text(count: int) -> str:
    """ "84.6 kB": three digits, in units of a thousand."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            break
        value /= 1000
    digits = 0 if unit == "bytes" or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {unit}"
