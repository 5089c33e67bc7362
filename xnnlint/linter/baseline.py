"""Baselines: today's findings are accepted, new ones are reported, and entries that nothing matches any more are named.

A finding is known again by its rule, the type of its operator and its layer's name; so exporting the model again, with
other weights, another batch size or another order of tensors and operators, leaves it known. Where Keras counted the
layers of a rebuilt model on (`conv2d_3` became `conv2d_17`), the names without these numbers decide, entry by entry.
A finding graver than the accepted one is a new one. Broken budgets are never accepted: their limits are in the
configuration.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from xnnlint.errors import XnnlintError
from xnnlint.linter.families import BUDGETS
from xnnlint.linter.findings import Finding, ModelReport, Severity
from xnnlint.loaders.addresses import is_address
from xnnlint.plain_files import MEGABYTE, read_plain

VERSION = 1
MOST = 16 * MEGABYTE
"""Bytes of a baseline; one of ten thousand findings takes a tenth of it."""
_KEYS = ("rule", "severity", "type", "layer")
_COUNTER = re.compile(r"_\d+(?=/|$)")


class BaselineEntry(Struct, frozen=True, order=True):
    """An accepted finding: the rule, where, and how grave it was."""

    rule: str
    layer: str
    type: str
    severity: str

    @property
    def stem(self) -> tuple[str, str, str]:
        """What stays the same when Keras counts on."""
        return self.rule, self.type, _COUNTER.sub("", self.layer)

    def __str__(self) -> str:
        where = f"{self.layer} ({self.type})" if self.layer and self.type else self.layer or self.type
        return f"{self.rule} at {where}" if where else self.rule


def entry(finding: Finding) -> BaselineEntry:
    place = finding.location
    return BaselineEntry(finding.rule, place.name or place.tensor, place.type, finding.severity.value)


def fingerprints(findings: Sequence[Finding]) -> list[str]:
    """A name for each finding of a model by which it is known again, other than those of all the others."""
    seen: Counter[tuple[str, str, str]] = Counter()
    names = []
    for finding in findings:
        stem = entry(finding).stem
        text = "\0".join((*stem, str(seen[stem])))
        seen[stem] += 1
        names.append(sha256(text.encode(errors="surrogatepass")).hexdigest()[:16])
    return names


class Stale(Struct, frozen=True):
    """An entry that nothing matches: the problem is solved, or the model is gone."""

    path: str
    entry: BaselineEntry | None

    def __str__(self) -> str:
        return f"{self.path}: {self.entry}" if self.entry is not None else f"{self.path}: there is no such file"


class Baseline(Struct):
    """The accepted findings of many models.

    Attributes:
        file: where it is kept; the models' paths in it count from its folder.
        models: path -> entries.
    """

    file: str
    models: dict[str, list[BaselineEntry]] = field(default_factory=dict)
    stale: list[Stale] = field(default_factory=list)
    _checked: set[str] = field(default_factory=set)

    def judge(self, report: ModelReport) -> None:
        """Move the findings that are accepted to `report.accepted`, and note the entries that nothing matches."""
        key = self._key(report.path)
        self._checked.add(key)
        if report.error is not None:
            return
        entries = self.models.get(key, [])
        accepted = _accepted(entries, report.findings)
        known = set(accepted.values())
        new = [finding for index, finding in enumerate(report.findings) if index not in accepted]
        report.accepted = [finding for index, finding in enumerate(report.findings) if index in accepted]
        report.findings = new
        # What became graver is reported as new, and its entry is not stale.
        graver = Counter(entry(finding).stem for finding in new)
        for index, left in enumerate(entries):
            if index in known:
                continue
            if graver[left.stem]:
                graver[left.stem] -= 1
            elif not _is_ignored(left, report):
                self.stale.append(Stale(report.path, left))

    def finish(self) -> list[Stale]:
        """The stale entries, with the models that are gone."""
        folder = self._folder
        gone = [key for key in self.models if key not in self._checked and not is_there(folder, key)]
        return [*self.stale, *(Stale(key, None) for key in sorted(gone))]

    def accept(self, report: ModelReport) -> int:
        """Take over a model's findings instead of its entries; how many entries it then has.

        Entries for what is not reported in this run stay, and all of a model that cannot be read.
        """
        if report.error is not None:
            return 0
        key = self._key(report.path)
        self._checked.add(key)
        silenced = [old for old in self.models.pop(key, []) if _is_ignored(old, report)]
        entries = sorted([*(entry(f) for f in report.findings if not f.rule.startswith(BUDGETS)), *silenced])
        if entries:
            self.models[key] = entries
        return len(entries)

    def write(self) -> None:
        """Write the file, as a whole or not at all; entries of models that are gone are left out.

        Raises:
            XnnlintError: it cannot be written.
        """
        from xnnlint.atomic import write

        folder = self._folder
        kept = {k: v for k, v in self.models.items() if k in self._checked or is_there(folder, k)}
        write(dumps(kept).encode(), self.file)

    @property
    def _folder(self) -> str:
        return os.path.dirname(os.path.abspath(self.file))  # noqa: PTH100, PTH120

    def _key(self, path: str) -> str:
        """A model's path from the baseline's folder; what is no path stays as it is."""
        from xnnlint.loaders import is_callable

        if is_callable(path) or is_address(path) or path.startswith("<"):
            return path
        try:
            return os.path.relpath(path, self._folder).replace(os.sep, "/")
        except ValueError:  # another drive
            return path.replace(os.sep, "/")


def is_there(folder: str, key: str) -> bool:
    from xnnlint.loaders import is_callable

    return key.startswith("<") or is_callable(key) or is_address(key) or Path(folder, key).exists()


def read(file: str) -> Baseline:
    """Reads a baseline.

    Raises:
        XnnlintError: there is none, or it is damaged or of another version.
    """
    try:
        text = read_plain(file, MOST).decode("utf-8")
        document = json.loads(text)
    except FileNotFoundError:
        raise XnnlintError(f"{file}: there is no such baseline; --write-baseline writes it") from None
    except OSError as error:
        raise XnnlintError(f"{file}: the baseline cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RecursionError):
        raise XnnlintError(f"{file}: this is no baseline of xnnlint: it is no JSON") from None
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(document, dict) or document.get("tool") != "xnnlint" or not isinstance(version, int):
        raise XnnlintError(f"{file}: this is no baseline of xnnlint")
    if version != VERSION:
        raise XnnlintError(f"{file}: the baseline is of version {version}, and this xnnlint reads version {VERSION}")
    models = document.get("models")
    if not isinstance(models, dict):
        raise XnnlintError(f"{file}: the baseline is damaged: it has no `models`")
    return Baseline(file, {path: [_entry(item, file, path) for item in _list(models, path, file)] for path in models})


def _list(models: dict[str, Any], path: str, file: str) -> list[Any]:
    entries = models[path]
    if not isinstance(entries, list):
        raise XnnlintError(f"{file}: the baseline is damaged: what it has of {path} is no list")
    return entries


def _entry(item: Any, file: str, path: str) -> BaselineEntry:
    fine = isinstance(item, dict) and all(isinstance(item.get(key), str) for key in _KEYS)
    if not fine or item["severity"] not in [severity.value for severity in Severity]:
        raise XnnlintError(f"{file}: the baseline is damaged: an entry of {path} is not understood")
    return BaselineEntry(item["rule"], item["layer"], item["type"], item["severity"])


def dumps(models: dict[str, list[BaselineEntry]]) -> str:
    """A line for each finding, sorted: what changes in a diff is what changed in the models."""
    lines = ["{", '  "tool": "xnnlint",', f'  "version": {VERSION},', '  "models": {']
    for number, path in enumerate(sorted(models)):
        entries = sorted(models[path])
        lines.append(f"    {json.dumps(path)}: [")
        for index, one in enumerate(entries):
            values = {key: getattr(one, key) for key in _KEYS}
            lines.append(f"      {json.dumps(values)}" + ("," if index < len(entries) - 1 else ""))
        lines.append("    ]" + ("," if number < len(models) - 1 else ""))
    return "\n".join([*lines, "  }", "}"]) + "\n"


def _accepted(entries: Sequence[BaselineEntry], findings: Sequence[Finding]) -> dict[int, int]:
    """Number of each accepted finding -> number of the entry that accepts it, each used once: same names first."""
    found: dict[int, int] = {}
    used: set[int] = set()
    ways: tuple[Callable[[BaselineEntry], tuple[str, str, str]], ...] = (
        lambda e: (e.rule, e.type, e.layer),
        lambda e: e.stem,
    )
    for way in ways:
        free: dict[tuple[str, str, str], list[int]] = {}
        for index, one in enumerate(entries):
            if index not in used:
                free.setdefault(way(one), []).append(index)
        for index, finding in enumerate(findings):
            if index in found or finding.rule.startswith(BUDGETS):
                continue
            candidates = free.get(way(entry(finding)), [])
            chosen = next((c for c in candidates if finding.severity.rank >= _rank(entries[c])), None)
            if chosen is not None:
                candidates.remove(chosen)
                used.add(chosen)
                found[index] = chosen
    return found


def _rank(one: BaselineEntry) -> int:
    return Severity(one.severity).rank


def _is_ignored(one: BaselineEntry, report: ModelReport) -> bool:
    """Whether the configuration silences what an entry accepts: then it may well still be there."""
    return any(entry(finding).stem == one.stem for finding in report.ignored)


def stale_sentence(stale: Iterable[Stale], file: str) -> str:
    """What to say of stale entries, or "" where there are none."""
    found = list(stale)
    if not found:
        return ""
    shown = "; ".join(str(one) for one in found[:3]) + ("; ..." if len(found) > 3 else "")
    entries, them = ("1 entry", "it") if len(found) == 1 else (f"{len(found)} entries", "them")
    return f"{file}: {entries} no longer found, --write-baseline removes {them}: {shown}"
