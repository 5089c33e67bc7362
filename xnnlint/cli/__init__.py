"""The command line: the program (`app`), and one module for each command."""
