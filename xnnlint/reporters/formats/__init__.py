"""One module for each format of `xnnlint check`; see `check_formats`, which finds them by their names."""
