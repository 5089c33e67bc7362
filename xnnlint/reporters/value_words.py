"""What a model gains, what it would gain, and what its weights take, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xnnlint.linter.findings import smallest_set
from xnnlint.reporters.finding_words import share_text
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.cost import Gain, Prediction
    from xnnlint.linter.findings import ModelReport
    from xnnlint.linter.pruning_forecast import PruningForecast
    from xnnlint.model.stored_bytes import StoredSize

_INSTEAD = {
    Outcome.DENSE: "the model runs dense all the same: pruning alone gains nothing",
    Outcome.WRONG_RESULTS: "the model gives wrong results",
    Outcome.FAILS: "the model fails",
}
_CPUS = {"arm64": "ARM"}
_OF_WEIGHTS = (Condition.PRUNED, Condition.ENOUGH_ZEROS, Condition.STORED_SPARSE)


# --- speed -----------------------------------------------------------------------------------------------------------


def now_sentence(model: ModelReport) -> str:
    """What a model gains that runs sparse and right; "" of all others, and where `pruned_lines` say it."""
    gain = model.speed.now if model.speed is not None else None
    if gain is None or (model.plan is not None and model.plan.model.assume_pruned is not None):
        return ""
    words = f"{_gain(gain)}."
    return words[0].upper() + words[1:]


def time_sentence(model: ModelReport) -> str:
    """How much of the time the sparse kernels can change at all; "" where it is not known."""
    gain = (model.speed.now or model.speed.if_fixed) if model.speed is not None else None
    return "" if gain is None else f"{share_text(gain.dense.pointwise)} of the dense time is in 1x1 convolutions."


def if_fixed_sentence(model: ModelReport) -> str:
    """What the smallest set of changes brings at most; "" where that is not known, or `made_words` knows more."""
    gain = model.speed.if_fixed if model.speed is not None else None
    is_made = model.speed is not None and model.speed.is_made
    if gain is None or is_made or (gain.share is not None and model.if_pruned):
        return ""  # `made_words` say it, or --assume-pruned for the shares that were asked for.
    zeros = "" if gain.share is None else f"with {share_text(gain.share)} zeros"
    if _is_slower(gain):
        return f"Even if fixed {_gain(gain, zeros)}."
    changed = [finding.condition for finding in smallest_set(model.findings)]
    # A cluster end, or a padding, takes time of its own, which is not known before it is there.
    cost = "" if all(condition in _OF_WEIGHTS for condition in changed) else ", cost of changes aside"
    if cost and model.fixes is not None and model.fixes.declined is not None:
        cost += "; those of xnnlint fix take more than they bring, as predicted"
    return f"If fixed, at most {_gain(gain, zeros)}{cost}."


def made_words(model: ModelReport) -> str:
    """What `xnnlint fix` brings, with what its changes cost; "" where that is not known."""
    gain = model.speed.if_fixed if model.speed is not None and model.speed.is_made else None
    return "" if gain is None else _gain(gain, than="now")


def _gain(gain: Gain, condition: str = "", than: str = "dense") -> str:
    """ "about 1.8x as fast as dense (1.4 to 2.2; ...)": in one decimal, since more is not known."""
    ratio, between = f"{gain.ratio:.1f}", f"{gain.low:.1f} to {gain.high:.1f}"
    behind = f"({'; '.join(filter(None, (between, condition, not_measured(gain.sparse))))})"
    if _is_slower(gain):
        return f"slower than {than}: {ratio}x as fast {behind}"
    if ratio == "1.0":
        return f"about as fast as {than} {behind}"
    return f"about {ratio}x as fast as {than} {behind}"


def _is_slower(gain: Gain) -> bool:
    """Whether the figure that is shown says so."""
    return round(gain.ratio, 1) < 1


def not_measured(prediction: Prediction) -> str:
    """That figures are scaled from another CPU's; "" where they are not."""
    return "" if prediction.measured_on_cpu else not_measured_on(prediction.profile.cpu)


def not_measured_on(cpu: str) -> str:
    return f"not measured on {_CPUS.get(cpu, cpu)}"


# --- --assume-pruned -------------------------------------------------------------------------------------------------


def schedule_sentence(forecast: PruningForecast) -> str:
    """What a model that is being pruned does at the end of its schedule."""
    share = f", {forecast.spmm} of {forecast.pointwise_convs}" if forecast.outcome is Outcome.SPARSE else ""
    return f"At {forecast.share:.0%} zeros, where the pruning schedule ends: {forecast.outcome.value}{share}."


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
