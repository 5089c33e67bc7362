"""Cases of `operator_changes/excitation.py`."""

from tests.fixes.fix_case import PRUNED, FixCase, middle
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def dense(g: ModelBuilder, x: Value, units: int, fused: str = "NONE") -> Value:
    return g.fully_connected(x, units, fused=fused, zeros=PRUNED)


def through_linear(g: ModelBuilder, x: Value) -> Value:
    """As litert-torch exports nn.Linear: the vector is broadcast."""
    vector = dense(g, dense(g, g.mean(x), 4, "RELU"), x.shape[3])
    return g.binary("MUL", x, g.unary("LOGISTIC", vector))


def through_dense(g: ModelBuilder, x: Value) -> Value:
    """As TensorFlow's converter writes Dense on a pooling, and a Reshape behind it."""
    vector = dense(g, dense(g, g.reshape(g.mean(x, keep_dims=True), (1, x.shape[3])), 4, "RELU"), x.shape[3])
    gate = g.binary("ADD", vector, g.constant(3.0), "RELU6")
    return g.binary("MUL", x, g.reshape(gate, (1, 1, 1, x.shape[3])))


CASES = (
    FixCase("excite-by-convolving", middle(through_linear), 2),
    FixCase("excite-by-convolving", middle(through_dense), 2),
)
