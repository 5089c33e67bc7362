"""Kinds of changes of operators, a family a file; `fixes.fixer` says how to add one."""
