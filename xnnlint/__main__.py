"""`python -m xnnlint`."""

from xnnlint.cli.app import main

main()
