"""What a shell may complete: names of runtimes, CPUs, rules and formats. Nothing is imported before a shell asks."""

from __future__ import annotations

from collections.abc import Iterable


def runtime_names(incomplete: str) -> list[str]:
    """For --runtime."""
    from xnnlint.xnnpack.profile import runtimes

    return _starting(runtimes(), incomplete)


def cpu_names(incomplete: str) -> list[str]:
    """For --cpu."""
    from xnnlint.xnnpack.profile import cpus

    return _starting(cpus(), incomplete)


def profile_names(incomplete: str) -> list[str]:
    """For `xnnlint profiles`."""
    return [*runtime_names(incomplete), *cpu_names(incomplete)]


def rule_codes(incomplete: str) -> list[str]:
    """For --select and --ignore: the last of several with commas between them."""
    from xnnlint.linter.known_rules import every_rule

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{code}" for code in _starting((rule.code for rule in every_rule()), last)]


def topics(incomplete: str) -> list[str]:
    """For `xnnlint explain`: rules, outcomes, and what else has a page."""
    from xnnlint.linter.known_rules import every_rule
    from xnnlint.xnnpack.plan import Outcome

    rules = every_rule()
    names = [*(outcome.value for outcome in Outcome), "unknown", "recipes", *(rule.name for rule in rules)]
    return [*_starting((rule.code for rule in rules), incomplete), *_starting(names, incomplete)]


def formats(incomplete: str) -> list[str]:
    """For --format of check."""
    from xnnlint.reporters.check_formats import format_names

    return _starting(format_names(), incomplete)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
