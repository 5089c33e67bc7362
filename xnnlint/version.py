"""The version, for the package and for the reports that name it; a module of its own, since it imports nothing."""

__version__ = "0.2.0"
