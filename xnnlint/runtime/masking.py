"""A private copy of a LiteRT package that takes this machine for one without AVX, so that it runs sparse natively.

XNNPACK has no sparse path on x86 with AVX, since its SpMM kernels for x86 are SSE (google/XNNPACK cfbed0a7). What a CPU
has is decided by pytorch/cpuinfo, linked into LiteRT's libraries: AVX counts only where the system saves its registers,
which XGETBV tells (src/x86/isa.c). In the copy that one XGETBV is written over, and says that none are saved: AVX, FMA,
F16C and AVX-512 are off, everything else, SSE4.1 included, stays as it is.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from xnnlint.cache.place import cache_folder
from xnnlint.errors import XnnlintError
from xnnlint.runtime.releases import Release

ASKS = bytes.fromhex("31C9 0F01D0 660F6E")
"""xor ecx,ecx; xgetbv; the beginning of movd xmm,r32. Exactly once in each library with XNNPACK of the x86-64 wheels
1.0.1, 1.2.0, 1.4.0, 2.0.3, 2.1.2 and 2.3.0; what other code (Abseil, LLVM) does behind its XGETBV is another thing."""
MASKED = bytes.fromhex("31C9 31C090 660F6E")
"""The same with xor eax,eax; nop: no registers are saved."""
INTERPRETER_LIBRARIES = ("libpywrap_litert_common.so", "_pywrap_tensorflow_interpreter_wrapper.so")
"""Where XNNPACK is for the Python interpreter: the first one that the package has."""
_KEPT_SECONDS = 30 * 24 * 3600.0
"""Copies that nobody has used for so long are removed when another is made."""


class CannotMask(XnnlintError):
    """AVX cannot be masked in this release, or here; the text says why, as the end of a sentence."""


def masked(release: Release, trial: Callable[[Release], str]) -> Release:
    """The release with AVX masked, in xnnlint's cache; it is made there if need be. The package itself is only read.

    Args:
        trial: says why a copy that has just been made is no good, or "".

    Raises:
        CannotMask: a library looks for AVX in another way, the copy does not pass its trial, or nothing can be written.
    """
    found = _masked(release, trial)
    if isinstance(found, CannotMask):
        raise found
    return found


@functools.cache
def _masked(release: Release, trial: Callable[[Release], str]) -> Release | CannotMask:
    """A copy that cannot be made is not tried twice in one process."""
    folder = cache_folder() / "masked"
    try:
        libraries = _libraries(release)
        place = folder / f"{release.version}-{_key(release, libraries)}"
        copy = Release(release.version, place / release.package.name)
        if copy.package.is_dir():
            with contextlib.suppress(OSError):
                os.utime(place)  # what is in use is not removed
        else:
            _make(copy, release, libraries, trial)
        return copy
    except CannotMask as error:
        return error
    except OSError as error:
        return CannotMask(f"no copy of LiteRT {release.version} can be made in {folder} ({error.strerror})")


def _libraries(release: Release) -> dict[str, int]:
    """The names of the libraries that ask which registers the system saves, and where in the file they do."""
    found = {}
    for path in sorted(release.package.glob("*.so")):
        if not path.stat().st_size:
            continue  # nothing to map
        with _mapped(path) as data:
            place = data.find(ASKS)
            if place >= 0 and data.find(ASKS, place + 1) >= 0:
                raise CannotMask(f"{path.name} of LiteRT {release.version} looks for AVX in more than one place")
        if place >= 0:
            found[path.name] = place
    wanted = (release.library.name,) if release.library else INTERPRETER_LIBRARIES
    if not any(name in found for name in wanted):
        raise CannotMask(f"no {' or '.join(wanted)} of LiteRT {release.version} looks for AVX in the way that is known")
    return found


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _key(release: Release, libraries: Mapping[str, int]) -> str:
    """Names what is in a copy: the masked libraries, and where the rest of the package is."""
    digest = hashlib.sha256(os.fsencode(release.package.absolute()))
    for name in libraries:
        with _mapped(release.package / name) as data:
            digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()[:16]


def _make(copy: Release, release: Release, libraries: Mapping[str, int], trial: Callable[[Release], str]) -> None:
    """Complete and tried, or not at all: made beside its place, then moved there in one step."""
    place = copy.package.parent
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove_old(place.parent)
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=place.parent))
    try:
        draft = Release(release.version, making / release.package.name)
        _fill(draft.package, release.package, libraries)
        if trouble := trial(draft):
            raise CannotMask(f"in a copy of LiteRT {release.version}, {trouble}")
        making.chmod(0o755)
        try:
            making.rename(place)
        except OSError:
            if not place.is_dir():  # or else another process has just made the same
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _fill(copy: Path, package: Path, libraries: Mapping[str, int]) -> None:
    """Masked copies of those libraries, and links to all else. The loader looks for a library beside the link, not
    beside what it leads to, so that all of them find the masked ones."""
    copy.mkdir()
    for entry in package.iterdir():
        if entry.name in libraries:
            shutil.copyfile(entry, copy / entry.name)
            with (copy / entry.name).open("r+b") as file:
                file.seek(libraries[entry.name])
                file.write(MASKED)
        elif entry.name != "__pycache__":
            (copy / entry.name).symlink_to(entry.absolute())
    for name in ("numpy", "numpy.libs"):  # releases before 1.1 are fetched with a numpy 1 beside them
        if (package.parent / name).is_dir():
            (copy.parent / name).symlink_to((package.parent / name).absolute())


def _remove_old(folder: Path) -> None:
    """What has not been used for long, and what a killed process left behind."""
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - entry.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(entry, ignore_errors=True)
