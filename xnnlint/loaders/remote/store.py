"""Where addresses are opened: the one place that talks to the network. What may pass is tried again."""

from __future__ import annotations

import importlib
import logging
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from xnnlint.errors import ModelError, XnnlintError
from xnnlint.loaders.addresses import GOOGLE, IN_EXTRA, PACKAGES, WEB, refuse, scheme_of, shown
from xnnlint.loaders.remote.faults import fault_of

_T = TypeVar("_T")
_ATTEMPTS, _ATTEMPTS_OF_GOOGLE = 4, 1
"""gcsfs tries six times itself, which takes half a minute."""
_PAUSE = 0.5
"""Seconds before the second attempt; twice as long before each further one."""
_CONNECT, _READ = 10, 60
"""Seconds to wait for a connection, and for the next bytes."""


class Store:
    """A server or a bucket, as it is seen from one address.

    Attributes:
        address: as the user gave it; errors name it as `shown`.
        fs: fsspec's file system.
        name: the address as that file system calls it.

    Raises:
        ModelError: nothing is read from such an address.
        XnnlintError: a package for it is not installed, with what to install.
    """

    def __init__(self, address: str) -> None:
        refuse(address)
        self.address = address
        self.scheme = scheme_of(address)
        self.fs = self._opened()
        self.name: str = self.fs._strip_protocol(address)

    def ask(self, what: Callable[[], _T]) -> _T:
        """What a call of the file system gives; it is made again where that may help.

        Raises:
            ModelError: it fails.
        """
        most = _ATTEMPTS_OF_GOOGLE if self.scheme in GOOGLE else _ATTEMPTS
        attempt = 1
        while True:
            try:
                return what()
            except XnnlintError:
                raise
            except Exception as error:  # each package has its own
                fault = fault_of(error, self.scheme)
                if not fault.may_pass or attempt == most:
                    tried = f", {attempt} times over" if attempt > 1 else ""
                    raise ModelError(shown(self.address), f"{fault.problem}{tried}", fault.advice) from None
                # At random, or all workers that a server sent away would come back at once.
                time.sleep(_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
                attempt += 1

    def _opened(self) -> Any:
        package = PACKAGES[self.scheme]
        for module in filter(None, ("fsspec", package)):
            try:
                importlib.import_module(module)
            except ImportError:
                more = "" if package in ("", *IN_EXTRA) else f" {package}"
                needed = f"{self.scheme}:// needs the package {module}: pip install 'xnnlint[remote]'{more}"
                raise XnnlintError(f"{shown(self.address)}: {needed}") from None
        import fsspec

        # gcsfs warns of what it tries without success; what comes of it in the end is told here.
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
        return self.ask(lambda: fsspec.filesystem(self.scheme, **_options(self.scheme)))


def _options(scheme: str) -> dict[str, Any]:
    """Bounds on what is waited for; and nothing is remembered, or what has changed would go unseen."""
    if scheme == "s3":
        retries = {"mode": "standard", "max_attempts": 2}
        config = {"connect_timeout": _CONNECT, "read_timeout": _READ, "retries": retries}
        return {"use_listings_cache": False, "config_kwargs": config}
    if scheme in GOOGLE:
        return {"use_listings_cache": False}
    if scheme in WEB:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_READ)
        return {
            "client_kwargs": {"timeout": timeout, "trust_env": True},
            "headers": {"Accept-Encoding": "identity"},  # or the size that is announced is another one
        }
    return {}
