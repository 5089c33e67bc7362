"""Rules of other packages, announced by the entry-point group `xnnlint.rules`.

    [project.entry-points."xnnlint.rules"]
    acme = "acme_rules"

An entry point names a module, whose rules are all taken, or one rule class. Such a rule looks at finished plans and
adds findings; what the runtime does is xnnlint's to say, so it decides nothing about layouts. A rule that cannot be
loaded stops the run: one that is only left out would turn CI green.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from xnnlint.errors import XnnlintError
from xnnlint.linter.findings import Severity

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from types import ModuleType

    from xnnlint.linter.findings import Finding
    from xnnlint.linter.rule import Rule
    from xnnlint.xnnpack.plan import Plan

GROUP = "xnnlint.rules"
_RECORDS = (".dist-info", ".egg-info")
_CODE = re.compile(r"[A-Z]{2,8}[0-9]{2,5}")
_RESERVED = re.compile(r"XN[A-Z]?[0-9]*")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")


def plugin_rules() -> Iterator[Rule]:
    """Every rule of every installed package, in the order of the packages' names.

    Raises:
        XnnlintError: one cannot be loaded, or is no rule as it should be.
    """
    if not may_be_some():
        return
    from importlib.metadata import entry_points

    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (_package(entry), entry.name)):
        for kind in _classes(entry):
            yield _made(kind, entry)


def may_be_some() -> bool:
    """Whether an installed package may have rules."""
    return _any_may_announce(tuple(sys.path))


@cache
def _any_may_announce(places: tuple[str, ...]) -> bool:
    # Asked by who reads a model and by who remembers what came of it, and each package costs a file.
    return any(map(_may_announce, places))


def _may_announce(place: str) -> bool:
    """Whether a package in a place of `sys.path` may announce rules. It is seen in what installers write, since the
    import and the search of importlib.metadata take a fifteenth of a check."""
    try:
        with os.scandir(place or ".") as entries:
            records = [entry.path for entry in entries if entry.name.endswith(_RECORDS)]
    except NotADirectoryError:
        return True  # An archive, which importlib.metadata can open.
    except OSError:
        return False
    # The last is that of a place that is an .egg itself.
    return any(_announces(Path(record, "entry_points.txt")) for record in [*records, f"{place}/EGG-INFO"])


def _announces(file: Path) -> bool:
    try:
        return GROUP.encode() in file.read_bytes()
    except OSError:
        return False


def ask(rule: Rule, plan: Plan) -> list[Finding]:
    """What a rule of another package finds; a mistake in it is reported as its own."""
    try:
        with _apart():
            return list(rule.check(plan))
    except XnnlintError:
        raise
    # SystemExit, too: it must not make the run look like one without findings.
    except (Exception, SystemExit) as error:
        raise XnnlintError(f"the rule {rule.code} of {rule.package} failed ({_words(error)})") from error


def _apart() -> contextlib.redirect_stdout[TextIO]:
    """What code of others prints goes to stderr: stdout is for reports, which programs read."""
    return contextlib.redirect_stdout(sys.stderr)


def _classes(entry: EntryPoint) -> list[type[Rule]]:
    from xnnlint.linter.rule import Rule

    try:
        with _apart():
            found = entry.load()
    # SystemExit, too: a package that ends the program when it is imported must not make it look like a clean run.
    except (Exception, SystemExit) as error:
        raise _refusal(entry, f"cannot be loaded ({_words(error)})") from error
    if isinstance(found, type) and issubclass(found, Rule):
        return [found]
    classes = _rules_of(found) if hasattr(found, "__name__") and not isinstance(found, type) else []
    if not classes:
        raise _refusal(
            entry, "has no rule: a class of xnnlint.linter.rule.Rule with a code, or a module with such classes"
        )
    return classes


def _rules_of(module: ModuleType) -> list[type[Rule]]:
    from xnnlint.linter.rule import Rule

    classes = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, Rule)]
    return [kind for kind in classes if kind.__module__ == module.__name__ and "code" in vars(kind)]


def _made(kind: type[Rule], entry: EntryPoint) -> Rule:
    from xnnlint.linter.rule import NodeRule

    if issubclass(kind, NodeRule):
        raise _refusal(entry, f"has a node rule ({kind.__name__}), and only xnnlint's own decide about layouts")
    problem = next(_problems(kind), None)
    if problem:
        raise _refusal(entry, f"has a rule {kind.__name__} {problem}")
    try:
        with _apart():
            rule = kind()
        rule.documentation  # noqa: B018 (made from the docstring and `limits`, which may not fit)
    except (Exception, SystemExit) as error:
        raise _refusal(entry, f"has a rule {kind.__name__} that cannot be made ({_words(error)})") from error
    rule.package = _package(entry)
    return rule


def _problems(kind: type[Rule]) -> Iterator[str]:
    """What is wrong with the attributes of a rule, as the end of a sentence."""
    code, name = getattr(kind, "code", None), getattr(kind, "name", None)
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        yield f"whose code {code!r} is not letters and digits, such as ACME001"
    elif _RESERVED.fullmatch(code):
        yield f"whose code {code} begins as only xnnlint's own do"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"whose name {name!r} is not words with hyphens, such as layer-too-wide"
    if not isinstance(getattr(kind, "summary", None), str) or not kind.summary:
        yield "without a summary"
    if not isinstance(kind.severity, Severity):
        yield "whose severity is none of xnnlint.linter.findings.Severity"


def check_clashes(rules: Iterable[Rule]) -> None:
    """No two rules share a code or a name.

    Raises:
        XnnlintError: two do.
    """
    seen: dict[str, Rule] = {}
    for rule in rules:
        for mark in (rule.code, rule.name):
            other = seen.setdefault(mark, rule)
            if other is not rule:
                owners = sorted({_owner(other), _owner(rule)})
                what = "code" if mark == rule.code else "name"
                raise XnnlintError(f"two rules share the {what} {mark} ({' and '.join(owners)})")


def _owner(rule: Rule) -> str:
    return rule.package or "xnnlint"


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value.partition(":")[0]


def _refusal(entry: EntryPoint, problem: str) -> XnnlintError:
    return XnnlintError(f"the package {_package(entry)} (entry point {GROUP}: {entry.name} = {entry.value}) {problem}")


def _words(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
