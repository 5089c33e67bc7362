"""Errors that reach a person: one clear sentence each, and exit code 2."""

from __future__ import annotations

import os


class XnnlintError(Exception):
    """Something xnnlint could not read or was asked in a way it cannot do; its text is one clear sentence."""


class NotInstalled(XnnlintError):
    """What is asked for needs packages that are not installed.

    Args:
        extra: the extra of xnnlint that brings them.
    """

    def __init__(self, sentence: str, extra: str) -> None:
        self.extra = extra
        super().__init__(sentence)


class NotSupported(Exception):
    """What is asked for has no meaning here that is known: an option, a type or a form that nothing was written for.

    Raised where that is noticed, and caught where something else can be done instead (an operator of unknown effect,
    say); a person never sees it. Mistakes of ours are other exceptions, and are not caught there.
    """


def end_in(error: BaseException) -> SystemExit | KeyboardInterrupt | None:
    """The end of the program that an error stands for: a signal may come while Python makes a class, and Python 3.11
    and older put another error around whatever is raised then."""
    cause = error.__cause__
    return cause if cause is None or isinstance(cause, (SystemExit, KeyboardInterrupt)) else end_in(cause)


class ModelError(XnnlintError):
    """A model file that cannot be read.

    Args:
        path: the file, as the user gave it.
        problem: what is wrong and where in the file, without a final full stop.
        advice: what to do about it, without a final full stop; may be empty.
    """

    def __init__(self, path: str | os.PathLike[str], problem: str, advice: str = "") -> None:
        self.path = os.fspath(path)
        self.problem = problem
        self.advice = advice
        super().__init__(f"{self.path}: {problem}" + (f"; {advice}" if advice else ""))
