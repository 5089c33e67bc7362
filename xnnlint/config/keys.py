"""Every key of the configuration: what it takes, what it is without, what it means. The one list of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from xnnlint.loaders.addresses import MOST_MEGABYTES
from xnnlint.xnnpack.profile import ALL, DEFAULT_CPU, DEFAULT_RUNTIME, PORTABLE, cpus, runtimes

SEVERITIES = ("error", "warning", "note")
AUTO = "auto"


class WrongValue(Exception):
    """A value that a key does not take: one sentence without the key; `culprit` is the part of it to look for."""

    def __init__(self, sentence: str, culprit: object = None) -> None:
        super().__init__(sentence)
        self.culprit = culprit


class Key(NamedTuple):
    """A key, dotted where it is in a table.

    Attributes:
        read: checks a value from TOML and gives the one to use; raises WrongValue.
        default: the value without any configuration.
        takes: its values in words, for the documentation.
        meaning: for the documentation, and for `xnnlint config`.
        for_run: whether one value holds for the whole run, and not one for each model.
    """

    name: str
    read: Callable[[Any], Any]
    default: Any
    takes: str
    meaning: str
    for_run: bool = False


def suggestion(wanted: str, known: Iterable[str]) -> str:
    """ "; did you mean ...?", or "" where nothing is close."""
    from difflib import get_close_matches

    folded = {name.lower(): name for name in known}
    close = get_close_matches(wanted.lower(), folded, n=2, cutoff=0.55)
    return f"; did you mean {' or '.join(folded[c] for c in close)}?" if close else ""


# --- what keys take --------------------------------------------------------------------------------------------------


def _one_of(known: Callable[[], Iterable[str]]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        names = list(known())
        if value not in names:
            hint = suggestion(value, names) if isinstance(value, str) else ""
            raise WrongValue(f"{value!r} is none of {', '.join(names)}{hint}", value)
        return str(value)

    return read


def _runtimes(value: Any) -> str:
    """A runtime, several with commas between, or "all"; newest first, each once."""
    if value == ALL:
        return ALL
    one = _one_of(runtimes)
    if not isinstance(value, str) or "," not in value:
        return one(value)
    given = {one(name.strip()) for name in value.split(",") if name.strip()}
    names = [name for name in runtimes() if name in given]
    if PORTABLE in given or not names:
        raise WrongValue(f"{value!r}: {PORTABLE} stands for all of them, so that it is given alone", value)
    return ",".join(names)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongValue(f"{value!r} is neither true nor false", value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise WrongValue(f"{value!r} is no text", value)
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list):
        raise WrongValue(f"{value!r} is no list of text, such as [{_quoted(value)}]", value)
    return tuple(_text(item) for item in value)


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else '"..."'


def selectors(value: Any) -> tuple[str, ...]:
    """Rule selectors, each of which must mean a rule."""
    from xnnlint.config.selection import ALL, known_rules, means_any

    given = _texts(value)
    rules = known_rules()
    for selector in given:
        if not means_any(selector, rules):
            names = [name for rule in rules for name in (rule.code, rule.name)]
            raise WrongValue(f"no rule {selector!r}{suggestion(selector, [*names, ALL])}", selector)
    return given


def _severities(value: Any) -> dict[str, str]:
    chosen = {}
    for selector, severity in _table(value).items():
        selectors([selector])
        if severity not in SEVERITIES:
            hint = "; `ignore` is what silences a rule" if severity in ("off", "ignore", "none", False) else ""
            raise WrongValue(f"{selector} = {severity!r} is none of {', '.join(SEVERITIES)}{hint}", selector)
        chosen[selector] = severity
    return chosen


def _file_ignores(value: Any) -> dict[str, tuple[str, ...]]:
    return {pattern: selectors(given) for pattern, given in _table(value).items()}


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WrongValue(f"{value!r} is no table", value)
    return value


def _layers(value: Any) -> dict[str, str]:
    from xnnlint.loaders.keras.declared_layers import WORDS

    declared = _table(value)
    for name, what in declared.items():
        if what not in WORDS and not (isinstance(what, str) and all(what.partition(":"))):
            raise WrongValue(f"{name} = {what!r} is none of {', '.join(WORDS)} and module:function", what)
    return declared


def share(value: Any) -> float:
    """A share from 0 to 1, or text such as "90%"."""
    number = value
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            number = float(value.strip()[:-1]) / 100
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= 1:
        raise WrongValue(f'{value!r} is no share from 0 to 1, such as 0.9 or "90%"', value)
    return float(number)


def count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise WrongValue(f"{value!r} is no count (0, 1, ...)", value)
    return value


def _positive(value: Any) -> int:
    number = count(value)
    if number == 0:
        raise WrongValue("0 is too few", value)
    return number


def jobs(value: Any) -> int:
    """A number of processes; 0 and "auto" are as many as there are CPUs."""
    if value == AUTO:
        return 0
    try:
        return count(int(value) if isinstance(value, str) else value)
    except (ValueError, WrongValue):
        raise WrongValue(f'{value!r} is no number of processes, nor "auto"', value) from None


def _fixes(value: Any) -> tuple[str, ...]:
    from xnnlint.fixes.tflite.known_fixes import names

    given, known = _texts(value), names()
    for name in given:
        if name not in known:
            raise WrongValue(f"no fix {name!r}{suggestion(name, known)}", name)
    return given


def _verify_cpus() -> list[str]:
    from xnnlint.runtime.targets import CPUS

    return [AUTO, *CPUS]


# --- the keys --------------------------------------------------------------------------------------------------------

OVERRIDES, FILES = "overrides", "files"
_NAMES = "list of codes, starts of codes, names, or `ALL`"

KEYS: tuple[Key, ...] = (
    Key(
        "runtime",
        _runtimes,
        DEFAULT_RUNTIME,
        "name, names with commas, or `all`",
        "Runtime to predict for, or several of them; `xnnlint profiles` lists them.",
    ),
    Key("cpu", _one_of(cpus), DEFAULT_CPU, "name", "CPU to predict for; `xnnlint profiles` lists them."),
    Key(
        "custom-operators",
        _texts,
        (),
        "list of names",
        "Custom operators that your application adds to those of LiteRT; a file with any others does not load.",
    ),
    Key("select", selectors, ("ALL",), _NAMES, "Rules that are reported."),
    Key(
        "ignore",
        selectors,
        (),
        _NAMES,
        "Rules that are not reported; the plan, the outcome and budgets stay as they are.",
    ),
    Key(
        "severity",
        _severities,
        {},
        'table, such as `XNN301 = "warning"`',
        "Another severity for the findings of a rule: `error`, `warning` or `note`.",
    ),
    Key(
        "per-file-ignores",
        _file_ignores,
        {},
        'table, such as `"old/*.tflite" = ["XNN2"]`',
        "Rules that are not reported of the models that a pattern means, whatever is selected.",
    ),
    Key(
        "fail-on",
        _one_of(lambda: (*SEVERITIES, "never")),
        "error",
        "`error`, `warning`, `note` or `never`",
        "Exit with 1 on findings at or above this severity.",
    ),
    Key("require-sparse", _flag, False, "true or false", "Whether every model that does not run sparse fails."),
    Key(
        "layers",
        _layers,
        {},
        'table, such as `DropBlock2D = "identity"`',
        "What layers of Keras models are whose code is not read, by their names or classes: `identity`, `elementwise`,"
        " or a `module:function` that is called with a layer's config and gives the layers of Keras in its place.",
    ),
    Key(
        "exclude",
        _texts,
        (),
        "list of patterns",
        "What is skipped when folders and patterns are searched; `.git`, `.venv`, `node_modules` and such always are.",
    ),
    Key("force-exclude", _flag, False, "true or false", "Whether `exclude` holds for models that are named, too."),
    Key(
        "models",
        _texts,
        (),
        "list of paths, patterns, addresses and `module:callable`",
        "What `xnnlint check` without PATH checks. A `module:callable` is imported and run, and an address is fetched, "
        "where you allow it.",
        for_run=True,
    ),
    Key(
        "remote-max-megabytes",
        _positive,
        MOST_MEGABYTES,
        "count",
        "Size in MB up to which a model at an address, such as `s3://bucket/net.tflite`, is fetched.",
    ),
    Key("baseline", _text, None, "path", "File with the findings that are accepted; see `--baseline`.", for_run=True),
    Key(
        "cost-profile",
        _text,
        None,
        "path",
        "File with rates for predicted times that `xnnlint calibrate` wrote, for the models of its CPU.",
        for_run=True,
    ),
    Key(
        "no-cache",
        _flag,
        False,
        "true or false",
        "Whether `xnnlint check` checks models anew that did not change since an earlier run.",
        for_run=True,
    ),
    Key(
        "jobs",
        jobs,
        1,
        'count, or "auto"',
        "Processes that check models; 0 and `auto`: one for each CPU.",
        for_run=True,
    ),
    Key(
        "budget.min-spmm-macs",
        share,
        None,
        'share, such as 0.9 or "90%"',
        "Share of the multiply-accumulates of all 1x1 convolutions that SpMM has to run, at least.",
    ),
    Key("budget.min-spmm-operators", count, None, "count", "Operators that have to run SpMM, at least."),
    Key(
        "budget.min-zeros",
        share,
        None,
        'share, such as 0.8 or "80%"',
        "Share of zeros among the weights of all 1x1 convolutions, at least.",
    ),
    Key("budget.max-partitions", count, None, "count", "Parts into which XNNPACK takes the model, at most."),
    Key("budget.max-tflite-operators", count, None, "count", "Operators that XNNPACK does not take, at most."),
    Key("fix.select", _fixes, (), "list of names", "Fixes of .tflite files that `xnnlint fix` makes; without, all."),
    Key("fix.ignore", _fixes, (), "list of names", "Fixes of .tflite files that `xnnlint fix` does not make."),
    Key(
        "verify.runtime",
        _one_of(lambda: [name for name in runtimes() if name != PORTABLE]),
        None,
        "name",
        "Runtime that `xnnlint verify` compares with; without, that of the release that runs.",
        for_run=True,
    ),
    Key("verify.cpu", _one_of(_verify_cpus), AUTO, "name", "CPU that `xnnlint verify` runs on.", for_run=True),
    Key(
        "verify.litert-version",
        _text,
        None,
        "version",
        "LiteRT release that `xnnlint verify` runs; without, the one that is installed.",
        for_run=True,
    ),
    Key(
        "verify.seeds", _positive, 3, "count", "Random inputs for each model that `xnnlint verify` runs.", for_run=True
    ),
)
BY_NAME = {key.name: key for key in KEYS}
TABLES = tuple(dict.fromkeys(key.name.partition(".")[0] for key in KEYS if "." in key.name))
"""Keys that are tables of keys."""
_NOT_IN_OVERRIDES = ("per-file-ignores", "exclude", "force-exclude")


def overridable() -> Sequence[Key]:
    """The keys that `[[overrides]]` can set for some of the models."""
    return [key for key in KEYS if not key.for_run and key.name not in _NOT_IN_OVERRIDES]
