"""Which files and folders are models, by their names alone: nothing is opened."""

from __future__ import annotations

from xnnlint.plain_files import DRAFT

# The extensions that are looked for in folders. A bare architecture (.json) is read where it is named, but most JSON
# files in a folder are something else.
EXTENSIONS = (".tflite", ".keras", ".h5", ".hdf5")
MODELS = "models are .tflite, .keras and .h5 files, and folders of SavedModels"
"""What to say of a file that is none."""
_WEIGHTS_ONLY = ".weights.h5"
# Folders that hold other people's files, or copies.
_CACHES = (".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__")
_ENVIRONMENTS = (".venv", "venv", ".tox", ".nox", ".eggs", "node_modules", "site-packages")
PASSED_OVER = frozenset((".git", ".hg", ".svn", *_CACHES, *_ENVIRONMENTS))


def is_model_file(name: str) -> bool:
    """Whether a file of this name is looked for in folders."""
    lower = name.lower()
    return lower.endswith(EXTENSIONS) and not lower.endswith(_WEIGHTS_ONLY) and not name.startswith(DRAFT)


def is_model_folder(names: set[str]) -> bool:
    """Whether a folder with files of these names is a model: a SavedModel, or an unpacked .keras archive."""
    archive = "config.json" in names and bool(names & {"model.weights.h5", "model.weights.json"})
    return "saved_model.pb" in names or archive
