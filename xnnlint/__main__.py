"""`python -m xnnlint`."""

from xnnlint.cli.app import program

program()
