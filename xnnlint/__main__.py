"""`python -m xnnlint`."""

from .cli import main

main()
