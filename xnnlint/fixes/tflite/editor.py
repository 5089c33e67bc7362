"""The editor of .tflite files: operators and tensors can be added, rewired and removed; everything else survives.

The object API is that of the LiteRT wheel (object_api.py says why). That it loses nothing of a file is not believed
but seen: on opening, the file is written once without any change, and every field of it must be there again
(lossless.py).
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from xnnlint.errors import ModelError
from xnnlint.fixes.tflite import object_api as schema
from xnnlint.fixes.tflite.links import Links
from xnnlint.fixes.tflite.links import Op as Op
from xnnlint.fixes.tflite.lossless import Unknown, Walk, first_difference
from xnnlint.loaders.tflite.flatbuffer import Malformed

if TYPE_CHECKING:
    import numpy as np

# TFLite's types of the constants that are edited, by numpy's names.
NUMPY = {"FLOAT32": "<f4", "FLOAT16": "<f2", "INT32": "<i4", "INT64": "<i8", "INT8": "i1", "UINT8": "u1"}
_DTYPES = {"float32": "FLOAT32", "float16": "FLOAT16", "int32": "INT32", "int64": "INT64", "int8": "INT8"}
# OperatorCode.deprecated_builtin_code is an int8; newer operators have this number there.
_PLACEHOLDER_CODE = 127
UNPACKING = ("DENSIFY", "DEQUANTIZE")
_SCALES = ("scales", "zeroPoints")  # tensors, of BlockwiseQuantization and MultiAxisQuantization
_TOO_LARGE = 2**31 - 2**24


# Padding behind the last vector, and what builders leave there.
_SLACK = 64


class Purpose(Enum):
    """What the kernel of a 1x1 convolution that a fix made is for, where it is none of the model's own: to run more of
    these in SpMM is no gain.

    `MOVES_CHANNELS`: zeros and ones that put channels in their places. `STEM_WEIGHTS`: the weights of a first
    convolution, which nobody prunes. `UPSAMPLES`: the weights of a transposed convolution.
    """

    MOVES_CHANNELS = "moves-channels"
    STEM_WEIGHTS = "stem-weights"
    UPSAMPLES = "upsamples"


class Edit:
    """A file that is being changed; the original bytes are never touched.

    Args:
        data: the whole file.
        path: as the user gave it, for messages.
        purposes: of tensors of the first subgraph that an earlier edit put in.
        model: what the file holds, where it has been read.

    Attributes:
        graphs: the subgraphs; fixes change `main`, which is the one that is planned.
    """

    def __init__(
        self, data: bytes, path: str, purposes: Mapping[int, Purpose] | None = None, model: Any = None
    ) -> None:
        self.path, self.data = path, data
        self.has_identifier = data[4:8] == schema.IDENTIFIER
        self.model = schema.read(data) if model is None else model
        self._unchanged: schema.Snapshot | None = None
        self.graphs = [GraphEdit(self, index, raw) for index, raw in enumerate(self.model.subgraphs or [])]
        if purposes:
            self.main.purposes.update(purposes)
        self._referenced = [graph.referenced() for graph in self.graphs]
        self._buffers, self._used_buffers = len(self.model.buffers or ()), self._buffers_in_use()
        self._stored: dict[tuple[int, int], int] | None = None

    @classmethod
    def open(cls, data: bytes, path: str) -> Edit:
        """An edit of a file, once it is seen that writing the file again loses nothing.

        Raises:
            ModelError: it would lose something, and what; or the file is damaged.
            XnnlintError: the object API is not installed.
        """
        schema.generated()
        try:
            before = Walk(data)
            _check_outside(data, before)
            edit = cls(data, path)
            lost = first_difference(before, Walk(edit.to_bytes()))
        except Unknown as what:
            raise ModelError(path, f"it is not changed, because something would be lost: {what}") from None
        except (Malformed, struct.error) as fault:
            raise ModelError(path, f"it is not changed, because it is damaged: {fault}") from None
        if lost:
            raise ModelError(path, f"it is not changed, because something would be lost: {lost} of the file")
        edit._unchanged = schema.Snapshot(edit.model)
        return edit

    @property
    def main(self) -> GraphEdit:
        """The subgraph of the first signature, as of `Model.main`."""
        signatures = self.model.signatureDefs
        return self.graphs[signatures[0].subgraphIndex if signatures else 0]

    def again(self) -> Edit:
        """The file as it was, for another attempt; cheap, since what was checked is not checked again."""
        return Edit(self.data, self.path, model=self._unchanged.copy() if self._unchanged is not None else None)

    def opcode(self, type_: str, version: int = 1) -> int:
        """The index of a builtin operator's code, which is added where the file lacks it."""
        number = schema.number("BuiltinOperator", type_)
        for index, code in enumerate(self.model.operatorCodes):
            if _code_number(code) == number and code.version == version:
                return index
        made = schema.make(
            "OperatorCode",
            deprecatedBuiltinCode=min(number, _PLACEHOLDER_CODE),
            builtinCode=number,
            version=version,
        )
        self.model.operatorCodes.append(made)
        return len(self.model.operatorCodes) - 1

    def type_of(self, raw: Any) -> str:
        return schema.name_of("BuiltinOperator", _code_number(self.model.operatorCodes[raw.opcodeIndex]))

    def add_buffer(self, data: bytes) -> int:
        """The index of a buffer with this data; one that has it already is used again."""
        import numpy as np

        buffers = self.model.buffers
        if self._stored is None:
            self._stored = {}
            for index, buffer in enumerate(buffers):
                if index and buffer.data is not None:
                    self._stored.setdefault(_digest(buffer.data), index)
        index = self._stored.get(_digest(data), 0)
        if index and (found := buffers[index].data) is not None and bytes(found) == data:
            return index
        buffers.append(schema.make("Buffer", data=np.frombuffer(data, np.uint8)))
        self._stored[_digest(data)] = len(buffers) - 1
        return len(buffers) - 1

    def to_bytes(self) -> bytes:
        """The changed file, as `settle` leaves it.

        Raises:
            ModelError: it would be too large for one flatbuffer.
        """
        self.settle()
        if sum(len(b.data) for b in self.model.buffers or () if b.data is not None) > _TOO_LARGE:
            raise ModelError(self.path, "the changed file would be larger than 2 GB, which this version cannot write")
        for graph in self.graphs:
            graph.store()
        return _with_archive(schema.write(self.model, identifier=self.has_identifier), self.data)

    def settle(self) -> None:
        """Takes out what the changes left without a reader; tensors get the indices that they have in the new file."""
        for graph, before in zip(self.graphs, self._referenced, strict=True):
            graph.drop_idle()
            graph.drop_unreferenced(before)
        self._referenced = [graph.referenced() for graph in self.graphs]
        self._empty_unreferenced_buffers()

    def _buffers_in_use(self) -> set[int]:
        used = {int(m.buffer) for m in self.model.metadata or ()}
        used |= {int(i) for i in (self.model.metadataBuffer if self.model.metadataBuffer is not None else ())}
        for graph in self.graphs:
            used |= {int(tensor.buffer) for tensor in graph.tensors}
        return used

    def _empty_unreferenced_buffers(self) -> None:
        """Buffers keep their indices, to which parts of the file may refer that are not known here."""
        used, buffers = self._buffers_in_use(), self.model.buffers or []
        for index, buffer in enumerate(buffers):
            if index and index not in used and (index in self._used_buffers or index >= self._buffers):
                buffer.data = None
        while len(buffers) > self._buffers and len(buffers) - 1 not in used:
            buffers.pop()
        self._stored = None


class GraphEdit:
    """One subgraph of an `Edit`.

    Attributes:
        tensors: TensorT objects by index.
        inputs, outputs: what the subgraph reads and gives.
        purposes: of the constants that fixes put in, where they have one, by tensor.
    """

    def __init__(self, edit: Edit, index: int, raw: Any) -> None:
        self.edit, self.index, self.raw = edit, index, raw
        raw.tensors = self.tensors = raw.tensors if raw.tensors is not None else []
        self._original = len(self.tensors)
        self._links = Links(Op(op, edit.type_of(op), f"#{i}", i) for i, op in enumerate(raw.operators or ()))
        self.inputs = [int(t) for t in raw.inputs] if raw.inputs is not None else []
        self.outputs = [int(t) for t in raw.outputs] if raw.outputs is not None else []
        self.purposes: dict[int, Purpose] = {}
        self._idle = {op.uid for op in self._without_readers()}

    # Looking

    @property
    def operators(self) -> Sequence[Op]:
        """In execution order."""
        return self._links.operators

    def producer(self, tensor: int) -> Op | None:
        """The operator that writes a tensor, or None."""
        return self._links.writer(tensor) if tensor >= 0 else None

    def unpacker(self, tensor: int) -> Op | None:
        """The DENSIFY or DEQUANTIZE that writes a tensor, or None."""
        op = self.producer(tensor)
        return op if op is not None and op.type in UNPACKING and len(op.inputs) == 1 and op.inputs[0] >= 0 else None

    def consumers(self, tensor: int) -> list[Op]:
        """The operators that read a tensor, each once, in execution order."""
        return self._links.readers(tensor)

    def find(self, uid: str) -> Op | None:
        """An operator by its `uid`; None once it is removed."""
        return self._links.find(uid)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """As stored; a dynamic dimension is 1, and an input that is left out has none."""
        if tensor < 0:
            return ()
        shape = self.tensors[tensor].shape
        return tuple(int(d) for d in shape) if shape is not None else ()

    def signature(self, tensor: int) -> tuple[int, ...]:
        """The shape with -1 for dynamic dimensions."""
        if tensor < 0:
            return ()
        signature = self.tensors[tensor].shapeSignature
        return tuple(int(d) for d in signature) if signature is not None and len(signature) else self.shape(tensor)

    def dtype(self, tensor: int) -> str:
        """TensorType by name; "" of an input that is left out."""
        return "" if tensor < 0 else schema.name_of("TensorType", self.tensors[tensor].type)

    def name(self, tensor: int) -> str:
        name = self.tensors[tensor].name
        return name.decode("utf-8", "replace") if isinstance(name, bytes) else name or ""

    def is_of_unknown_size(self, tensor: int) -> bool:
        """Whether more than the batch is dynamic."""
        return tensor >= 0 and any(size < 0 for size in self.signature(tensor)[1:])

    def inputs_of_unknown_size(self) -> list[str]:
        """The names of the inputs that are."""
        return [self.name(t) for t in self.inputs if self.is_of_unknown_size(t)]

    def is_quantized(self, tensor: int) -> bool:
        """Whether a tensor has quantization parameters that mean something."""
        quantization = self.tensors[tensor].quantization
        return quantization is not None and (
            bool(quantization.detailsType) or (quantization.scale is not None and len(quantization.scale) > 0)
        )

    def data(self, tensor: int) -> Any:
        """The bytes that are stored for a tensor, or None; older converters give each an empty buffer of its own."""
        buffer = self.tensors[tensor].buffer if tensor >= 0 else 0
        return self.edit.model.buffers[buffer].data if buffer else None

    def constant(self, tensor: int) -> np.ndarray | None:
        """The values of a dense constant, in its shape; None for what is no constant, sparse-encoded, or of another
        type than those in `NUMPY`."""
        import numpy as np

        data = self.data(tensor)
        if data is None or self.tensors[tensor].sparsity is not None or self.dtype(tensor) not in NUMPY:
            return None
        shape = self.shape(tensor)
        count = int(np.prod(shape, dtype=np.int64))
        values = np.frombuffer(data, NUMPY[self.dtype(tensor)])
        return values[:count].reshape(shape) if len(values) >= count else None

    # Changing

    def add_tensor(
        self, name: str, shape: Sequence[int], *, dtype: str = "FLOAT32", signature: Sequence[int] | None = None
    ) -> int:
        """A new value without data; its index.

        Args:
            signature: the shape with -1 for dynamic dimensions, where any is.
        """
        import numpy as np

        dynamic = signature is not None and any(d < 0 for d in signature)
        tensor = schema.make(
            "Tensor",
            shape=np.array(shape, np.int32),
            type=schema.number("TensorType", dtype),
            buffer=0,
            name=name,
            shapeSignature=np.array(signature, np.int32) if dynamic else None,
            hasRank=len(shape) > 0,
        )
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def add_like(self, tensor: int, suffix: str, shape: Sequence[int] | None = None) -> int:
        """A new value of another one's type, with its name and a suffix. A shape of its own keeps a dynamic batch."""
        signature = self.signature(tensor)
        if shape is None:
            shape = self.shape(tensor)
        elif signature and signature[0] < 0 and shape and self.shape(tensor)[0] == shape[0]:
            signature = (-1, *shape[1:])
        else:
            signature = tuple(shape)
        made = self.add_tensor(self.name(tensor) + suffix, shape, dtype=self.dtype(tensor), signature=signature)
        self.tensors[made].quantization = self.tensors[tensor].quantization
        return made

    def add_constant(self, name: str, values: np.ndarray, purpose: Purpose | None = None) -> int:
        """A new dense constant.

        Args:
            purpose: what it is for, where the convolution with it is not counted.

        Raises:
            KeyError: numpy's type is none of TFLite's.
        """
        import numpy as np

        tensor = self.add_tensor(name, values.shape, dtype=_DTYPES[values.dtype.name])
        self.tensors[tensor].buffer = self.edit.add_buffer(np.ascontiguousarray(values).tobytes())
        if purpose is not None:
            self.purposes[tensor] = purpose
        return tensor

    def insert(
        self,
        type_: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        near: Op,
        after: bool = False,
        options: str = "",
        version: int = 1,
        **fields: Any,
    ) -> Op:
        """A new operator directly before `near`, or after it.

        Args:
            options: the options' table by name, such as "ReducerOptions"; `fields` are those of that table.
        """
        raw = schema.make("Operator", opcodeIndex=self.edit.opcode(type_, version))
        if options:
            raw.builtinOptionsType = schema.number("BuiltinOptions", options)
            raw.builtinOptions = schema.make(options, **fields)
        op = Op(raw, type_, self._fresh(f"{near.uid}+{type_}"))
        op.inputs, op.outputs = list(inputs), list(outputs)
        self._links.insert(op, near, after=after)
        return op

    def retype(self, op: Op, type_: str, *, options: str = "", version: int = 1, **fields: Any) -> None:
        """Makes an operator another one, with the same inputs and outputs."""
        op.type = type_
        op.raw.opcodeIndex = self.edit.opcode(type_, version)
        op.raw.builtinOptionsType = schema.number("BuiltinOptions", options) if options else 0
        op.raw.builtinOptions = schema.make(options, **fields) if options else None

    def set_version(self, op: Op, version: int) -> None:
        """Lets an operator be of another version of its type."""
        op.raw.opcodeIndex = self.edit.opcode(op.type, version)

    def remove(self, op: Op) -> None:
        """Takes an operator out; who reads its outputs must be rewired first."""
        self._links.remove(op)

    def remove_if_unread(self, op: Op) -> None:
        """Takes an operator out where nothing reads what it writes any more."""
        if not any(self.consumers(tensor) or tensor in self.outputs for tensor in op.outputs):
            self.remove(op)

    def move(self, op: Op, *, before: Op) -> None:
        """Puts an operator in front of another one, from wherever it is."""
        self._links.remove(op)
        self._links.insert(op, before, after=False)

    def rewire(self, old: int, new: int, readers: Iterable[Op] | None = None) -> None:
        """Lets the readers of a tensor (all, where None) read another one; outputs of the graph stay as they are."""
        for op in self.consumers(old) if readers is None else readers:
            op.inputs = [new if t == old else t for t in op.inputs]

    def displace(self, op: Op, suffix: str, shape: Sequence[int] | None = None, slot: int = 0) -> tuple[int, int]:
        """Lets an operator write a new tensor, so that something can be put between it and its readers.

        Returns:
            The new tensor, and the old one, which has no producer any more: whatever is put between writes it. Readers,
            outputs and signatures keep referring to the old one.
        """
        old = op.outputs[slot]
        new = self.add_like(old, suffix, shape)
        op.outputs[slot] = new
        return new, old

    def give_instead(self, old: int, new: int) -> None:
        """Lets the graph, and its signatures, have another tensor for an output."""
        self.outputs = [new if t == old else t for t in self.outputs]
        for signature in self._signatures():
            for entry in signature.outputs or ():
                if entry.tensorIndex == old:
                    entry.tensorIndex = new

    def set_shape(self, tensor: int, shape: Sequence[int], *, dynamic_batch: bool = False) -> None:
        """Another shape, static but for the batch."""
        import numpy as np

        self.tensors[tensor].shape = np.array(shape, np.int32)
        self.tensors[tensor].shapeSignature = np.array((-1, *shape[1:]), np.int32) if dynamic_batch else None

    # Writing

    def referenced(self) -> set[int]:
        """The tensors to which anything refers."""
        used = {*self.inputs, *self.outputs}
        for op in self.operators:
            used.update(op.inputs, op.outputs)
            if op.raw.intermediates is not None:
                used.update(int(t) for t in op.raw.intermediates)
        for entry in self._entries():
            used.add(int(entry.tensorIndex))
        # What only tensors without a reference refer to may stay, too.
        used.update(int(getattr(details, name)) for details in self._details() for name in _SCALES)
        return used - {-1}

    def _details(self) -> Iterator[Any]:
        """Schemes of quantization whose scales and zero points are tensors."""
        for tensor in self.tensors:
            details = tensor.quantization.details if tensor.quantization is not None else None
            if hasattr(details, _SCALES[0]):
                yield details

    def _without_readers(self) -> list[Op]:
        """Operators that unpack a constant that nobody reads."""
        read = {t for op in self.operators for t in op.inputs} | set(self.outputs)
        return [op for op in self.operators if op.type in UNPACKING and not read.intersection(op.outputs)]

    def drop_idle(self) -> None:
        """Removes the operators that unpack a constant and lost their last reader."""
        while idle := [op for op in self._without_readers() if op.uid not in self._idle]:
            for op in idle:
                self.remove(op)

    def drop_unreferenced(self, before: set[int]) -> None:
        """Removes the tensors that lost their last reference, given those that were referenced before."""
        used = self.referenced()
        dropped = {t for t in before if t >= 0 and t not in used}
        dropped |= {t for t in range(self._original, len(self.tensors)) if t not in used}
        if not dropped:
            return
        places: dict[int, int] = {-1: -1}
        for tensor in range(len(self.tensors)):
            if tensor not in dropped:
                places[tensor] = len(places) - 1
        self.raw.tensors = self.tensors = [t for i, t in enumerate(self.tensors) if i not in dropped]
        self._original = sum(1 for t in range(self._original) if t not in dropped)
        self._renumber(places)

    def _renumber(self, places: dict[int, int]) -> None:
        import numpy as np

        self.purposes = {places[t]: purpose for t, purpose in self.purposes.items() if t in places}
        self.inputs = [places[t] for t in self.inputs]
        self.outputs = [places[t] for t in self.outputs]
        for op in self.operators:
            op.inputs = [places[t] for t in op.inputs]
            op.outputs = [places[t] for t in op.outputs]
            if op.raw.intermediates is not None:
                op.raw.intermediates = np.array([places[int(t)] for t in op.raw.intermediates], np.int32)
        for entry in self._entries():
            entry.tensorIndex = places[int(entry.tensorIndex)]
        for details in self._details():
            for name in _SCALES:
                setattr(details, name, places[int(getattr(details, name))])

    def store(self) -> None:
        """Puts what was changed into the objects that are written."""
        import numpy as np

        for op in self.operators:
            op.raw.inputs = np.array(op.inputs, np.int32)
            op.raw.outputs = np.array(op.outputs, np.int32)
        self.raw.operators = [op.raw for op in self.operators]
        self.raw.inputs = np.array(self.inputs, np.int32)
        self.raw.outputs = np.array(self.outputs, np.int32)

    def _signatures(self) -> list[Any]:
        return [s for s in self.edit.model.signatureDefs or () if s.subgraphIndex == self.index]

    def _entries(self) -> Iterable[Any]:
        """The arguments of the signatures of this subgraph."""
        for signature in self._signatures():
            yield from signature.inputs or ()
            yield from signature.outputs or ()

    def _fresh(self, uid: str) -> str:
        number = 2
        fresh = uid
        while self.find(fresh) is not None:
            fresh, number = f"{uid}{number}", number + 1
        return fresh


def _digest(data: Any) -> tuple[int, int]:
    """What bytes are known by."""
    return len(data), zlib.crc32(data)


def _code_number(code: Any) -> int:
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _check_outside(data: bytes, walk: Walk) -> None:
    """Refuses data outside of the flatbuffer's tables: offsets to it would have to move."""
    for path, value in walk.content:
        if path.endswith((".offset", ".large_custom_options_offset")) and struct.unpack("<Q", value)[0] > 1:
            raise Unknown("its weights are stored behind the flatbuffer, as in files over 2 GB")
        if path.endswith(".external_buffer"):
            raise Unknown("its weights are stored in another file")
    if len(data) > walk.end + _SLACK and not zipfile.is_zipfile(io.BytesIO(data)):
        raise Unknown(f"{len(data) - walk.end:,} bytes behind the flatbuffer, to which nothing in it refers")


def _with_archive(flatbuffer: bytes, original: bytes) -> bytes:
    """The new flatbuffer with the zip archive behind it that the original has: labels, packed by TFLite Metadata."""
    file = io.BytesIO(original)
    if not zipfile.is_zipfile(file):
        return flatbuffer
    result = io.BytesIO(flatbuffer)
    result.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(result, "a") as new:
        new.comment = old.comment
        for entry in old.infolist():
            new.writestr(entry, old.read(entry), entry.compress_type)
    return result.getvalue()
