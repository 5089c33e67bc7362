"""Measures the rates of this machine's kernels for the cost model: a grid of graphs, their times, the fit."""
