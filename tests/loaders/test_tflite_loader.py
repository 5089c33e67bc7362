"""The TFLite loader, against the schema code and the readers that others publish."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tflite

from tests.models import FIXTURES
from tests.requirements import published
from xnnlint import loaders
from xnnlint.loaders.tflite import schema_tables as schema
from xnnlint.loaders.tflite.names import operator_names
from xnnlint.model.graph import OP, TENSOR, Model
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import serialize, table
from xnnlint.runtime.observe import observe

GUIDE = FIXTURES / "guide_sparse.tflite"
# Code that flatc generated from the schema; the first one is older than the loader's schema.
PACKAGES = ["tflite", "ai_edge_litert.schema_py_generated"]
FORMATS = {"?": "Bool", "b": "Int8", "B": "Uint8", "H": "Uint16", "i": "Int32", "I": "Uint32"}
FORMATS |= {"q": "Int64", "Q": "Uint64", "f": "Float32"}


def litert() -> ModuleType:
    """LiteRT's own reader of the schema: generated code, not ours."""
    return published("ai_edge_litert.schema_py_generated")


def real_models(folder: Path) -> list[Path]:
    models = sorted(folder.rglob("*.tflite"))
    assert len(models) >= 14
    return models


def write(tmp_path: Path, data: bytes, name: str = "model.tflite") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def tensor(**fields):
    fields = {"shape": np.array([1, 4], np.int32), "type": 0, "buffer": 0, "name": "t"} | fields
    return table("Tensor", **fields)


def operator(inputs, outputs, code=0, **fields):
    indices = {"inputs": np.array(inputs, np.int32), "outputs": np.array(outputs, np.int32)}
    return table("Operator", opcode_index=code, **indices, **fields)


def subgraph(tensors, operators, inputs=(0,), outputs=(1,), name="main"):
    ends = {"inputs": np.array(inputs, np.int32), "outputs": np.array(outputs, np.int32)}
    return table("SubGraph", tensors=tensors, operators=operators, name=name, **ends)


def builtin(code: int, **fields):
    return table("OperatorCode", deprecated_builtin_code=min(code, 127), builtin_code=code, version=1, **fields)


def model(*subgraphs, codes=None, buffers=(), **fields):
    """A `Model` table: subgraphs, operator codes (RELU unless given) and buffers after the empty one."""
    codes = [builtin(tflite.BuiltinOperator.RELU)] if codes is None else codes
    buffers = [table("Buffer"), *buffers]
    return table("Model", version=3, operator_codes=codes, subgraphs=list(subgraphs), buffers=buffers, **fields)


def load(tmp_path: Path, root, identifier: bytes | None = b"TFL3") -> Model:
    return loaders.load(write(tmp_path, serialize(root, identifier)))


# --- the schema ------------------------------------------------------------------------------------------------------


def camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def numbers(generated: type) -> dict[str, int]:
    """The names and numbers of a generated enum."""
    return {k: v for k, v in vars(generated).items() if isinstance(v, int) and not k.startswith("_")}


def known_tables() -> list[str]:
    return sorted(schema._tables())


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("name", known_tables())
def test_tables_are_those_of_the_generated_code(package: str, name: str) -> None:
    generated = getattr(published(package), name, None)
    if generated is None:
        assert package == "tflite", f"{name} is in no published schema"
        pytest.skip("newer than the package")
    accessors = {
        method: inspect.getsource(function)
        for method, function in vars(generated).items()
        if re.search(r"_tab\.Offset\(\d+\)", inspect.getsource(function) if inspect.isfunction(function) else "")
        and not re.search(r"\w(Length|IsNone|AsNumpy)$", method)
    }
    for field_name, field in schema.table(name).items():
        source = accessors.pop(camel(field_name), None)
        if source is None:
            assert package == "tflite", f"{name}.{field_name} is in no published schema"
            continue
        is_union = field.type in schema._UNIONS
        slot = (int(re.search(r"Offset\((\d+)\)", source).group(1)) - 4) // 2
        assert slot == field.slot + is_union, f"{name}.{field_name}"
        if is_union:
            assert camel(field_name) + "Type" in accessors
            del accessors[camel(field_name) + "Type"]
        elif field.format:
            flags = re.search(r"number_types\.(\w+)Flags, (?:a|o)\b", source).group(1)
            assert flags == FORMATS[field.format], f"{name}.{field_name}"
            assert field.is_vector == ("Vector(o)" in source)
            # The `tflite` package's OperatorCode.BuiltinCode is written by hand, and chooses between two fields.
            if not field.is_vector and "PLACEHOLDER" not in source:
                default = re.search(r"return (bool\()?(-?[\w.]+)\)?\s*$", source).group(2)
                assert float({"True": 1, "False": 0}.get(default, default)) == field.default, f"{name}.{field_name}"
        else:
            assert field.is_vector == ("Vector(o)" in source or "VectorLen" in source), f"{name}.{field_name}"
    assert not accessors, f"{name} has fields that the loader does not know: {list(accessors)}"


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("name", sorted(schema._ENUMS))
def test_enums_are_those_of_the_generated_code(package: str, name: str) -> None:
    values = numbers(getattr(published(package), name))
    ours = {value: number for number, value in enumerate(schema.enum(name))}
    assert {k: ours.get(k) for k in values} == values
    assert package == "tflite" or values == ours


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("name", sorted(schema._UNIONS))
def test_unions_are_those_of_the_generated_code(package: str, name: str) -> None:
    values = numbers(getattr(published(package), name))
    ours = {value: number for number, value in enumerate(schema.union(name))}
    assert {k: ours.get(k) for k in values} == values
    assert package == "tflite" or values == ours


# --- real files, against LiteRT's generated reader -------------------------------------------------------------------


def snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def assert_same_model(ours: Model, path: Path) -> None:
    """Everything that the loader says about a file is what LiteRT's generated object API reads in it."""
    generated = litert()
    theirs = generated.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    assert ours.description == (theirs.description or b"").decode()
    assert len(ours.graphs) == len(theirs.subgraphs)
    stored = {e.name.decode(): theirs.buffers[e.buffer].data for e in theirs.metadata or []}
    assert {k: list(v) for k, v in ours.metadata.items()} == {k: list(v) for k, v in stored.items()}
    operators = {v: k for k, v in numbers(generated.BuiltinOperator).items()}
    types = {v: k for k, v in numbers(generated.TensorType).items()}
    for graph, other in zip(ours.graphs, theirs.subgraphs, strict=True):
        assert graph.inputs == tuple(other.inputs) and graph.outputs == tuple(other.outputs)
        assert len(graph.tensors) == len(other.tensors) and len(graph.operators) == len(other.operators)
        for t, o in zip(graph.tensors, other.tensors, strict=True):
            assert t.name == (o.name or b"").decode()
            assert t.dtype == types[o.type]
            assert t.shape == tuple(o.shape if o.shape is not None else ())
            assert t.shape_signature == (t.shape if o.shapeSignature is None else tuple(o.shapeSignature))
            assert t.is_variable == o.isVariable
            assert_same_quantization(t.quantization, o.quantization)
            assert_same_data(t, theirs.buffers[o.buffer].data, o.sparsity)
        for op, o in zip(graph.operators, other.operators, strict=True):
            code = theirs.operatorCodes[o.opcodeIndex]
            assert op.type == operators[max(code.builtinCode, code.deprecatedBuiltinCode)]
            assert op.custom_code == ((code.customCode or b"").decode() if op.type == "CUSTOM" else "")
            assert op.version == code.version
            assert op.inputs == tuple(o.inputs) and op.outputs == tuple(o.outputs)
            if op.type == "CUSTOM":
                expected = [] if o.customOptions is None else list(o.customOptions)
                assert list(op.attributes["custom_options"]) == expected
            else:
                assert_same_options(op.attributes, o.builtinOptions)


def assert_same_quantization(ours, theirs) -> None:
    if theirs is None or theirs.scale is None or len(theirs.scale) == 0:
        assert ours is None
        return
    assert ours.scale == tuple(theirs.scale) and ours.zero_point == tuple(theirs.zeroPoint)
    assert ours.quantized_dimension == theirs.quantizedDimension


def assert_same_data(ours, data, sparsity) -> None:
    if data is None:
        assert ours.stored is None and not ours.is_constant
        return
    stored = ours.stored()
    assert not stored.flags.writeable and not stored.flags.owndata
    assert stored.tobytes() == bytes(data)
    assert ours.stored_bytes == len(data)
    assert (ours.sparsity is None) == (sparsity is None)
    if sparsity is None:
        return
    assert ours.sparsity.traversal_order == tuple(sparsity.traversalOrder)
    assert ours.sparsity.block_map == tuple([] if sparsity.blockMap is None else sparsity.blockMap)
    for level, other in zip(ours.sparsity.dims, sparsity.dimMetadata, strict=True):
        if level.format == "DENSE":
            assert level.dense_size == other.denseSize and other.format == 0
        else:
            assert np.array_equal(level.segments, other.arraySegments.values)
            assert np.array_equal(level.indices, other.arrayIndices.values)


def assert_same_options(ours: dict, theirs) -> None:
    generated = litert()
    enums = {"padding": "Padding", "fused_activation_function": "ActivationFunctionType"}
    enums |= {"weights_format": "FullyConnectedOptionsWeightsFormat", "out_type": "TensorType"}
    enums |= {"quantized_bias_type": "TensorType", "in_data_type": "TensorType", "out_data_type": "TensorType"}
    for name, value in ({} if theirs is None else vars(theirs)).items():
        name = snake(name)
        if name in enums:
            value = {v: k for k, v in numbers(getattr(generated, enums[name])).items()}[value]
        if isinstance(value, np.ndarray):
            value = tuple(value)
        if isinstance(value, bytes):
            value = value.decode()
        assert ours[name] == (type(ours[name])() if value is None else value), name


def test_real_models_are_read_as_litert_reads_them(mediapipe_models: Path) -> None:
    for path in real_models(mediapipe_models):
        assert_same_model(loaders.load(path), path)


def test_committed_models_are_read_as_litert_reads_them(committed_fixtures: Path) -> None:
    for path in sorted(committed_fixtures.rglob("*.tflite")):
        assert_same_model(loaders.load(path), path)


def test_real_models_have_the_operators_and_tensors_of_the_interpreter(mediapipe_models: Path) -> None:
    interpreter = published("ai_edge_litert.interpreter")
    for path in real_models(mediapipe_models):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            resolver = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            runtime = interpreter.Interpreter(str(path), experimental_op_resolver_type=resolver)
        graph = loaders.load(path).main
        operators = runtime._get_ops_details()
        assert [op.custom_code or op.type for op in graph.operators] == [o["op_name"] for o in operators]
        assert [list(op.inputs) for op in graph.operators] == [list(o["inputs"]) for o in operators]
        assert [list(op.outputs) for op in graph.operators] == [list(o["outputs"]) for o in operators]
        for t in runtime.get_tensor_details():
            if t["index"] < len(graph.tensors):
                ours = graph.tensors[t["index"]]
                assert (ours.name, list(ours.shape)) == (t["name"], list(t["shape"]))
        assert [graph.tensors[i].index for i in graph.inputs] == [d["index"] for d in runtime.get_input_details()]
        assert [graph.tensors[i].index for i in graph.outputs] == [d["index"] for d in runtime.get_output_details()]


# --- what files can hold ----------------------------------------------------------------------------------------------


def test_the_graph_has_an_edge_for_every_use(tmp_path: Path) -> None:
    codes = [builtin(tflite.BuiltinOperator.ADD), builtin(tflite.BuiltinOperator.RELU)]
    g = subgraph([tensor()] * 3, [operator([0, 0], [1]), operator([1], [2], code=1)], outputs=(2,))
    graph = load(tmp_path, model(g, codes=codes)).main
    assert [op.type for op in graph.operators] == ["ADD", "RELU"]
    assert sorted(d["slot"] for _, _, d in graph.nx.in_edges((OP, 0), data=True)) == [0, 1]
    assert [op.index for op in graph.consumers(0)] == [0] and graph.producer(0) is None
    assert graph.producer(2).type == "RELU" and graph.nx.nodes[TENSOR, 1]["data"] is graph.tensors[1]


def test_what_depends_on_what(tmp_path: Path) -> None:
    """0 -> RELU -> 1 -> SPLIT -> 2, 3; 3 + 4 -> 5; and 4 -> RELU -> 6, on which nothing depends."""
    codes = [builtin(getattr(tflite.BuiltinOperator, name)) for name in ("RELU", "SPLIT", "ADD")]
    operators = [
        operator([0], [1]),
        operator([7, 1], [2, 3], code=1),
        operator([3, 4], [5], code=2),
        operator([4], [6]),
    ]
    graph = load(tmp_path, model(subgraph([tensor()] * 8, operators, inputs=(0, 4), outputs=(5,)), codes=codes)).main
    assert [op.index for op in graph.upstream(2)] == [2, 1, 0]
    assert [op.index for op in graph.downstream(0)] == [0, 1, 2]
    assert [op.index for op in graph.downstream(4)] == [2, 3] and graph.downstream(5) == []
    assert graph.needed([-1, 2]) == {0, 1, 2, 7} and graph.needed(graph.outputs) == {0, 1, 3, 4, 5, 7}
    assert graph.consumers(-1) == [] and graph.producer(-1) is None


def test_a_check_without_findings_takes_no_networkx() -> None:
    """Its import takes half as long as everything else."""
    code = (
        f"import sys, xnnlint\nreport = xnnlint.lint({str(GUIDE)!r})\n"
        "print(report.plan.outcome.value, 'networkx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sparse", "False"]


def test_several_subgraphs_and_signatures(tmp_path: Path) -> None:
    entry = table("TensorMap", name="x", tensor_index=0), table("TensorMap", name="y", tensor_index=1)
    signature = table("SignatureDef", inputs=entry[:1], outputs=entry[1:], signature_key="serve", subgraph_index=1)
    graphs = [subgraph([tensor()] * 2, [operator([0], [1])], name=name) for name in ("main", "other")]
    read = load(tmp_path, model(*graphs, signature_defs=[signature]))
    # The runtime runs the first signature's subgraph.
    assert [g.name for g in read.graphs] == ["main", "other"] and read.main is read.graphs[1]
    (s,) = read.signatures
    assert (s.key, s.subgraph, s.inputs, s.outputs) == ("serve", 1, {"x": 0}, {"y": 1})
    assert [g.name for g, _ in read.operators()] == ["main", "other"]


def test_dynamic_dimensions(tmp_path: Path) -> None:
    dynamic = tensor(shape_signature=np.array([-1, 4], np.int32))
    graph = load(tmp_path, model(subgraph([dynamic, tensor()], [operator([0], [1])]))).main
    assert graph.tensors[0].shape == (1, 4) and graph.tensors[0].shape_signature == (-1, 4)
    assert graph.tensors[0].is_dynamic and not graph.tensors[1].is_dynamic
    assert graph.tensors[1].shape_signature == (1, 4)


@pytest.mark.parametrize(("marked", "has_rank"), [(False, True), (True, False)])
def test_no_dimensions_is_a_scalar_unless_the_file_marks_ranks(tmp_path: Path, marked: bool, has_rank: bool) -> None:
    empty = np.zeros(0, np.int32)
    tensors = [tensor(shape=empty), tensor(shape=empty, has_rank=marked)]
    graph = load(tmp_path, model(subgraph(tensors, [operator([0], [1])]))).main
    assert graph.tensors[0].has_rank is has_rank and graph.tensors[1].has_rank is True
    assert graph.tensors[0].is_dynamic is not has_rank


def test_optional_inputs(tmp_path: Path) -> None:
    graph = load(tmp_path, model(subgraph([tensor()] * 2, [operator([0, -1], [1])]))).main
    op = graph.operators[0]
    assert op.inputs == (0, -1)
    assert graph.input_tensor(op, 1) is None and graph.input_tensor(op, 2) is None and graph.input_tensor(op, 0)


def test_a_file_without_identifier(tmp_path: Path) -> None:
    root = model(subgraph([tensor()] * 2, [operator([0], [1])]))
    assert serialize(root, None)[4:8] != b"TFL3"
    loaded = load(tmp_path, root, identifier=None)
    assert loaded.main.operators[0].type == "RELU"
    (note,) = loaded.notes
    assert "TFL3" in note and "refuses" in note


@pytest.mark.judge
def test_a_file_without_identifier_is_refused_by_the_runtime(tmp_path: Path) -> None:
    place = tmp_path / "model.tflite"
    data = (FIXTURES / "guide_sparse.tflite").read_bytes()
    place.write_bytes(data[:4] + bytes(4) + data[8:])
    (observation,) = observe([place], seeds=(0,))
    assert observation.status != "ran"
    assert "TFL3" in (observation.error or "")


CONSTANTS = {
    "FLOAT32": np.array([1.5, -0.0, 3], np.float32), "FLOAT16": np.array([1.5, -0.0, 3], np.float16),
    "FLOAT64": np.array([1.5, 2, 3], np.float64), "COMPLEX64": np.array([1 + 2j, 0, 3], np.complex64),
    "COMPLEX128": np.array([1 + 2j, 0, 3], np.complex128), "BOOL": np.array([True, False, True]),
    "INT8": np.array([-1, 2, 3], np.int8), "UINT8": np.array([255, 2, 3], np.uint8),
    "INT16": np.array([-1, 2, 3], np.int16), "UINT16": np.array([65535, 2, 3], np.uint16),
    "INT32": np.array([-1, 2, 3], np.int32), "UINT32": np.array([2**32 - 1, 2, 3], np.uint32),
    "INT64": np.array([-1, 2, 3], np.int64), "UINT64": np.array([2**64 - 1, 2, 3], np.uint64),
    "BFLOAT16": np.array([0x3FC0, 0, 0x4040], np.uint16), "INT4": np.array([0x21, 0x03], np.uint8),
    "UINT4": np.array([0x21, 0x03], np.uint8), "INT2": np.array([0x39], np.uint8),
    "FLOAT8_E4M3FN": np.array([0x38, 0x80, 0], np.uint8), "FLOAT8_E5M2": np.array([0x3C, 0x80, 0], np.uint8),
    "STRING": np.frombuffer(b"\1\0\0\0\x0c\0\0\0\x0e\0\0\0hi", np.uint8), "RESOURCE": np.array([7], np.uint8),
    "VARIANT": np.array([7, 8], np.uint8),
}  # fmt: skip


@pytest.mark.parametrize("dtype", schema.enum("TensorType"))
def test_constants_of_every_dtype(tmp_path: Path, dtype: str) -> None:
    values = CONSTANTS[dtype]
    constant = tensor(shape=np.array([3], np.int32), type=schema.enum("TensorType").index(dtype), buffer=1)
    buffer = table("Buffer", data=values.tobytes())
    g = subgraph([tensor(), tensor(), constant], [operator([0, 2], [1])])
    t = load(tmp_path, model(g, buffers=[buffer])).main.tensors[2]
    assert t.dtype == dtype and t.is_constant and t.stored_bytes == values.nbytes
    assert t.stored().dtype == values.dtype
    assert t.stored().tobytes() == values.tobytes()
    assert not t.stored().flags.writeable


def test_types_and_operators_that_no_schema_knows_yet(tmp_path: Path) -> None:
    g = subgraph([tensor(type=99), tensor()], [operator([0], [1])])
    graph = load(tmp_path, model(g, codes=[builtin(4711)])).main
    assert graph.operators[0].type == "BUILTIN_4711" and graph.operators[0].attributes == {}
    assert graph.tensors[0].dtype == "TensorType_99"


@pytest.mark.parametrize(("deprecated", "new"), [(19, 0), (19, 19), (0, 19)])
def test_the_operator_code_is_in_either_field(tmp_path: Path, deprecated: int, new: int) -> None:
    code = table("OperatorCode", deprecated_builtin_code=deprecated, builtin_code=new, version=2)
    op = load(tmp_path, model(subgraph([tensor()] * 2, [operator([0], [1])]), codes=[code])).main.operators[0]
    assert (op.type, op.version) == ("RELU", 2)


def test_attributes_are_complete_where_the_file_says_nothing_or_names_other_options(tmp_path: Path) -> None:
    other = {"builtin_options_type": tflite.BuiltinOptions.Pool2DOptions, "builtin_options": table("Pool2DOptions")}
    codes = [builtin(tflite.BuiltinOperator.CONV_2D)]
    for options in ({}, other):
        maps = [tensor(shape=np.ones(4, np.int32)) for _ in range(3)]
        g = subgraph(maps, [operator([0, 1], [2], **options)])
        op = load(tmp_path, model(g, codes=codes)).main.operators[0]
        assert op.attributes == {
            "padding": "SAME", "stride_w": 0, "stride_h": 0, "fused_activation_function": "NONE",
            "dilation_w_factor": 1, "dilation_h_factor": 1, "quantized_bias_type": "FLOAT32",
        }  # fmt: skip


def test_attributes_of_the_second_union(tmp_path: Path) -> None:
    name = "StablehloConcatenateOptions"
    options = {"builtin_options_2_type": tflite.BuiltinOptions2.StablehloConcatenateOptions}
    options["builtin_options_2"] = table(name, dimension=3)
    codes = [builtin(tflite.BuiltinOperator.STABLEHLO_CONCATENATE)]
    g = subgraph([tensor()] * 2, [operator([0], [1], **options)])
    assert load(tmp_path, model(g, codes=codes)).main.operators[0].attributes == {"dimension": 3}


def test_custom_options_inside_and_behind_the_flatbuffer(tmp_path: Path) -> None:
    code = table("OperatorCode", deprecated_builtin_code=32, builtin_code=32, version=1, custom_code="Mine")
    inside = operator([0], [1], custom_options=b"abc")
    behind = operator([0], [2], large_custom_options_offset=2**40, large_custom_options_size=5)
    root = model(subgraph([tensor()] * 3, [inside, behind]), codes=[code])
    data = serialize(root)
    behind.fields["large_custom_options_offset"] = len(data)
    graph = loaders.load(write(tmp_path, serialize(root) + b"later")).main
    assert [op.custom_code for op in graph.operators] == ["Mine", "Mine"]
    assert [bytes(op.attributes["custom_options"]) for op in graph.operators] == [b"abc", b"later"]


def test_data_behind_a_flatbuffer_of_more_than_2_gb(tmp_path: Path) -> None:
    at = 3 * 2**30 + 16
    constant = tensor(shape=np.array([4], np.int32), buffer=1)
    buffer = table("Buffer", offset=at, size=16)
    root = model(subgraph([tensor(), tensor(), constant], [operator([0, 2], [1])]), buffers=[buffer])
    path = write(tmp_path, serialize(root))
    values = np.array([1, 2, 3, 4], np.float32)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(values.tobytes())
    t = loaders.load(path).main.tensors[2]
    assert t.is_constant and np.array_equal(t.stored(), values)


def test_a_buffer_offset_of_0_or_1_is_a_placeholder(tmp_path: Path) -> None:
    tensors = [tensor(), tensor(), tensor(buffer=1), tensor(buffer=2)]
    buffers = [table("Buffer", offset=offset, size=16) for offset in (0, 1)]
    graph = load(tmp_path, model(subgraph(tensors, [operator([0, 2, 3], [1])]), buffers=buffers)).main
    assert not any(t.is_constant for t in graph.tensors)


def test_external_buffers_are_said_to_be_unread(tmp_path: Path) -> None:
    generated, flatbuffers = litert(), published("flatbuffers")
    root = generated.ModelT()
    root.version, root.buffers = 3, [generated.BufferT()]
    root.operatorCodes = [generated.OperatorCodeT()]
    g, op = generated.SubGraphT(), generated.OperatorT()
    g.tensors = [generated.TensorT() for _ in range(3)]
    for t in g.tensors:
        t.shape = [2]
    g.tensors[1].externalBuffer = 1
    op.inputs, op.outputs = [0, 1], [2]
    g.inputs, g.outputs, g.operators = [0], [2], [op]
    group = generated.ExternalBufferGroupT()
    group.name = "weights.bin"
    root.subgraphs, root.externalBufferGroups = [g], [group]
    builder = flatbuffers.Builder(0)
    builder.Finish(root.Pack(builder), b"TFL3")
    read = loaders.load(write(tmp_path, bytes(builder.Output())))
    weight = read.main.tensors[1]
    assert weight.is_external and not weight.is_constant and not read.main.tensors[0].is_external
    assert read.notes == [
        "1 tensors keep their data in other files (weights.bin), which were not read: their zeros are unknown."
    ]


def test_quantization_by_channel(tmp_path: Path) -> None:
    scale, zero_point = np.array([0.5, 0.25], np.float32), np.array([0, 3], np.int64)
    quantization = table("QuantizationParameters", scale=scale, zero_point=zero_point, quantized_dimension=1)
    weight = tensor(shape=np.array([3, 2], np.int32), type=9, quantization=quantization)
    q = load(tmp_path, model(subgraph([weight, tensor()], [operator([0], [1])]))).main.tensors[0].quantization
    assert (q.scale, q.zero_point, q.quantized_dimension, q.details) == ((0.5, 0.25), (0, 3), 1, "")


def test_metadata(tmp_path: Path) -> None:
    entries = [table("Metadata", name="reduced_precision_support", buffer=1), table("Metadata", name="none", buffer=0)]
    g = subgraph([tensor()] * 2, [operator([0], [1])])
    read = load(tmp_path, model(g, buffers=[table("Buffer", data=b"fp16accfp16")], metadata=entries, description="d"))
    assert read.metadata == {"reduced_precision_support": b"fp16accfp16", "none": b""}
    assert (read.description, read.format) == ("d", "tflite")


def test_the_data_outlives_the_model(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.input((1, 4, 4, 3))
    g.output(g.conv2d(x, 5))
    path = write(tmp_path, g.build())
    weight = next(t for t in loaders.load(path).main.tensors if t.shape == (5, 1, 1, 3)).stored()
    expected = weight.copy()
    path.unlink()
    assert np.array_equal(weight, expected)


# --- names ------------------------------------------------------------------------------------------------------------


def names(*operators: tuple[str, ...]) -> list[str]:
    """Names of operators, each given as its type, its output's name and the names of its constants."""
    return operator_names([op[0] for op in operators], [op[1] for op in operators], [op[2:] for op in operators])


def test_names_of_keras_2_layers() -> None:
    # As TensorFlow 2.21 wrote them for a tf_keras model called "my_net".
    assert names(
        ("PAD", "my_net/zero_padding2d/Pad"),
        ("CONV_2D", "my_net/stem_relu/Relu6;my_net/stem/Conv2D"),
        ("DEPTHWISE_CONV_2D", "my_net/dw_bn/FusedBatchNormV3;my_net/dw/depthwise1"),
        ("CONV_2D", "my_net/block_1_project/Relu;my_net/block_1_project/Conv2D"),
        ("CONV_2D", "my_net/backbone/inner_conv/Conv2D1"),
        ("DEPTHWISE_CONV_2D", "my_net/sepconv/separable_conv2d/depthwise1"),
        ("CONV_2D", "my_net/sepconv/separable_conv2d1"),
        ("RESIZE_BILINEAR", "my_net/up_sampling2d/resize/ResizeBilinear"),
        ("TRANSPOSE_CONV", "my_net/tf.math.add/AddV2;my_net/tf.math.multiply/Mul;my_net/up/conv2d_transpose;1"),
        ("PRELU", "my_net/p_re_lu/add;my_net/p_re_lu/Relu;my_net/p_re_lu/Neg_1;my_net/p_re_lu/mul1"),
        ("MUL", "my_net/sw/mul_1"),
        ("FULLY_CONNECTED", "my_net/head/MatMul1"),
        ("SOFTMAX", "StatefulPartitionedCall:0"),
    ) == [
        "zero_padding2d", "stem", "dw", "block_1_project", "backbone/inner_conv", "sepconv", "sepconv",
        "up_sampling2d", "up", "p_re_lu", "sw", "head", "StatefulPartitionedCall:0",
    ]  # fmt: skip


def test_names_of_keras_3_layers() -> None:
    assert names(
        ("CONV_2D", "my_net_1/stem_relu_1/Relu6;my_net_1/stem_1/convolution"),
        ("DEPTHWISE_CONV_2D", "my_net_1/dw_bn_1/batchnorm/mul_1;my_net_1/dw_1/depthwise;1"),
        ("ADD", "my_net_1/Add"),
        ("CONV_2D", "my_net_1/backbone_1/conv2d_1_1/convolution1"),
    ) == ["stem", "dw", "Add", "backbone/conv2d_1"]


def test_names_of_outputs_come_from_the_weights() -> None:
    assert names(
        ("RELU", "net/re_lu/Relu"),
        ("FULLY_CONNECTED", "StatefulPartitionedCall:0", "net/dense/MatMul1", "net/dense/BiasAdd1"),
        ("CONV_2D", "StatefulPartitionedCall:1", "StatefulPartitionedCall:12", "net/bn/Fused;net/project/Conv2D"),
        ("CONV_2D", "Identity", "arith.constant1", "arith.constant2"),
        ("MEAN", "StatefulPartitionedCall:2", "net/another_layer/Const"),
    ) == ["re_lu", "dense", "project", "Identity", "StatefulPartitionedCall:2"]


def test_names_of_shared_constants_go_to_the_last_convolution() -> None:
    # From pose_landmark_full.tflite: batch normalizations of equal shape share constants, and their names.
    name = "m/re_lu_4/Relu6;m/batch_normalization_6/FusedBatchNormV3;m/depthwise_conv2d_3/depthwise;"
    assert names(
        ("CONV_2D", name + "m/conv2d_29/Conv2D;m/conv2d_4/Conv2D"),
        ("ADD", "m/add/add"),
    ) == ["conv2d_4", "add"]


def test_names_without_scopes_stay() -> None:
    assert names(("CONV_2D", "conv2d_12"), ("ADD", "add_1"), ("MEAN", "")) == ["conv2d_12", "add_1", "MEAN_2"]


def test_layers_called_like_operations_keep_their_names() -> None:
    assert names(
        ("CONV_2D", "mobilenetv2_1.00_224/Conv1/Conv2D"),
        ("CONV_2D", "mobilenetv2_1.00_224/Conv_1/Conv2D"),
        ("ADD", "mobilenetv2_1.00_224/block_2_add/add"),
    ) == ["Conv1", "Conv_1", "block_2_add"]


def test_names_are_short(mediapipe_models: Path) -> None:
    (long,) = names(("CONV_2D", "/".join(["torch.nn.modules.container.Sequential_features"] * 9)))
    assert len(long) <= 90
    for path in real_models(mediapipe_models):
        assert all(0 < len(op.name) <= 90 for op in loaders.load(path).main.operators)


def test_names_of_a_real_model(mediapipe_models: Path) -> None:
    graph = loaders.load(mediapipe_models / "pose_detection/pose_detection.tflite").main
    convolutions = [op.name for op in graph.operators if op.type == "CONV_2D"]
    assert convolutions[:4] == ["conv2d", "conv2d_1", "conv2d_2", "conv2d_3"]
    assert len(set(convolutions)) == len(convolutions) == 45
    unpacking = [op for op in graph.operators if op.type in ("DENSIFY", "DEQUANTIZE")]
    assert len(unpacking) > 100
    for op in unpacking:
        assert op.name == graph.consumers(op.outputs[0])[0].name


# --- files and folders ------------------------------------------------------------------------------------------------


def test_find_models(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("b.tflite", "a/c.TFLITE", "a/readme.md", "empty/x.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    given = tmp_path / "given.bin"
    missing = tmp_path / "missing.tflite"
    found = loaders.find_models([given, folder, missing, folder / "b.tflite", folder / "empty"])
    expected = [given, folder / "b.tflite", folder / "a" / "c.TFLITE", missing, folder / "empty"]
    assert found == [str(path) for path in expected]


def test_find_models_keeps_a_saved_model_whole(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    (tmp_path / "assets.tflite").touch()
    assert loaders.find_models([tmp_path]) == [str(tmp_path)]
