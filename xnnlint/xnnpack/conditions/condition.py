"""The names of the conditions: a rule reports where one is not met, a fix declares which ones it meets."""

from __future__ import annotations

from enum import Enum


class Condition(str, Enum):
    """What sparse inference asks of a model. Each is reported by one rule of `rules/`; see there for the sources."""

    # What a node needs to run in NCHW.
    FLOAT_VALUES = "float-values"
    STEM = "stem"
    POINTWISE = "pointwise"
    FULLY_CONNECTED = "fully-connected"
    DEPTHWISE = "depthwise"
    ELEMENTWISE_OPERAND = "elementwise-operand"
    BINARY_OPERATOR = "binary-operator"
    UNARY_OPERATOR = "unary-operator"
    RESIZE_BILINEAR = "resize-bilinear"
    REDUCE_INPUT = "reduce-input"
    NCHW_KERNEL = "nchw-kernel"
    # Where a cluster begins and ends.
    BRANCH_END = "branch-end"
    CLUSTER_END = "cluster-end"
    CONSUMER_INSIDE = "consumer-inside"
    OUTPUT_OUTSIDE = "output-outside"
    INPUT_OUTSIDE = "input-outside"
    OPERANDS_DIFFER = "operands-differ"
    # Weights.
    ENOUGH_ZEROS = "enough-zeros"
    STORED_SPARSE = "stored-sparse"
    PRUNED = "pruned"
    HAS_POINTWISE = "has-pointwise"
    POINTWISE_IN_CLUSTER = "pointwise-in-cluster"
    WRAPPERS_STRIPPED = "wrappers-stripped"
    # What the delegate takes.
    DELEGATED = "delegated"
    UNPACKED_WEIGHTS = "unpacked-weights"
    KNOWN_ENCODING = "known-encoding"
    KNOWN_LAYER = "known-layer"
    # Runtime and CPU.
    SPARSE_CPU = "sparse-cpu"
    FULL_PRECISION = "full-precision"
    # Right results.
    POOLING_SHAPE = "pooling-shape"
    POOLING_AXES = "pooling-axes"
    MAP_BEFORE_FULLY_CONNECTED = "map-before-fully-connected"
    RIGHT_RESULTS = "right-results"
    LOADS_AND_RUNS = "loads-and-runs"
    # What TFMOT's pruning policy asks on the way there.
    POLICY_START = "policy-start"
    POLICY_END = "policy-end"
    POLICY_LAYER = "policy-layer"
    POLICY_AGREES = "policy-agrees"
