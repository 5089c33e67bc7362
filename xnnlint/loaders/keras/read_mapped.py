"""Files in mapped memory."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from xnnlint.loaders.keras.read_config import Unreadable


def map_file(path: str) -> memoryview:
    """A read-only view of a file, which stays mapped as long as a view of it lives.

    Raises:
        Unreadable: it cannot be opened, or is empty.
    """
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise Unreadable("the file is empty")
            return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unreadable(f"{Path(path).name} cannot be read ({reason})") from None
