"""An arm64 Debian root folder, so that the arm64 LiteRT runs here under user-mode emulation.

    python -m xnnlint.runtime.sysroot

sets it up in the cache: it downloads some 12 packages (8 MB) with apt-get, whose settings and state it keeps to itself,
so that neither root's rights nor `dpkg --add-architecture` are needed, and the arm64 wheel of the installed LiteRT.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from msgspec import Struct

from xnnlint.cache.place import cache_folder
from xnnlint.errors import XnnlintError
from xnnlint.runtime import releases

HOW_TO = "set it up with: python -m xnnlint.runtime.sysroot"
VARIABLE = "XNNLINT_ARM64_SYSROOT"
"""Environment variable with the folder of a root that is kept elsewhere than in the cache."""
PYTHON_VERSION = (3, 11)
SUITE = "bookworm"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR = "http://deb.debian.org/debian"
PACKAGES = (
    "libbz2-1.0",
    "libc6",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libstdc++6",
    "python3.11-minimal",
    "zlib1g",
)
# XNNPACK's cpuinfo reads the processors from here, and the runtime crashes where it finds those of an x86 machine.
# One Cortex-A72, as the emulator is told to be: ARM implementer 0x41, part 0xd08, revision r0p3.
_PROCESSOR = """\
processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""


class Sysroot(Struct, frozen=True):
    """A root folder with a Python that the emulator can start."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "usr" / "bin" / f"python{PYTHON_VERSION[0]}.{PYTHON_VERSION[1]}"

    @property
    def complete(self) -> bool:
        return self.python.is_file() and (self.folder / "proc" / "cpuinfo").is_file()


def _place() -> Sysroot:
    named = os.environ.get(VARIABLE)
    return Sysroot(Path(named) if named else cache_folder() / "sysroot" / f"debian-{SUITE}-arm64")


def find() -> Sysroot | None:
    """The root that was set up, or None."""
    place = _place()
    return place if place.complete else None


def set_up() -> Sysroot:
    """Make the root where it isn't there yet: complete, or not at all.

    Raises:
        XnnlintError: a tool is missing, or the download failed.
    """
    place = _place()
    if place.complete:
        return place
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise XnnlintError(f"setting up an arm64 root needs {tool}, which only Debian and its kin have")
    if not KEYRING.is_file():
        raise XnnlintError(f"{KEYRING} is not there; install it with: apt-get install debian-archive-keyring")
    place.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.folder.parent) as temporary:
        root = Path(temporary) / "root"
        for package in _download(Path(temporary) / "apt"):
            _run(["dpkg-deb", "--extract", str(package), str(root)])
        (root / "proc").mkdir()
        text = "".join(_PROCESSOR.format(number=number) for number in range(os.cpu_count() or 1))
        (root / "proc" / "cpuinfo").write_text(text)
        if place.folder.exists():
            raise XnnlintError(f"{place.folder} is there but is no complete root; remove it and try again")
        shutil.move(root, place.folder)
    return place


def _download(state: Path) -> list[Path]:
    """Fetch the packages with an apt of our own: its lists and its idea of what is installed are empty."""
    folders = ["lists/partial", "cache/archives/partial", "packages"]
    for folder in folders:
        (state / folder).mkdir(parents=True)
    (state / "status").touch()
    (state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {SUITE} main\n")
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "",
        "Dir::State": str(state),
        "Dir::State::Lists": str(state / "lists"),
        "Dir::State::status": str(state / "status"),
        "Dir::Cache": str(state / "cache"),
        "Dir::Etc::SourceList": str(state / "sources.list"),
        "Dir::Etc::SourceParts": "-",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    _run(["apt-get", *options, "--quiet", "update"])
    _run(["apt-get", *options, "--quiet", "download", *PACKAGES], folder=state / "packages")
    return sorted((state / "packages").glob("*.deb"))


def _run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise XnnlintError(f"{command[0]} failed: {said}")


def main() -> None:
    try:
        place = set_up()
        release = releases.find(machine="arm64")
    except XnnlintError as error:
        sys.exit(f"error: {error}")
    print(f"{place.folder}: Debian {SUITE} for arm64, with LiteRT {release.version}")


if __name__ == "__main__":
    main()
