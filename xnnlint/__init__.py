"""xnnlint: says before you ship whether a pruned model will run XNNPACK's sparse kernels, and whether it will be right."""

__version__ = "0.1.0"
