"""The TFLite schema as data: tables, fields, enums and unions by name, in the order that gives them their numbers.

Source: tflite/converter/schema/schema.fbs of google-ai-edge/LiteRT (f674577, August 2026; schema version 3), with the
one field that the schema in the ai-edge-litert 2.3.0 wheel has more (FullyConnectedOptions.quant_spec), and for
`options_of` the parse functions in tflite/core/api/flatbuffer_conversions.cc. The tests compare all of it with the code
that flatc generated for two published packages.

It is here as data, not as generated classes, for three reasons: the published classes lag behind the files that people
have (the newest `tflite` package knows neither external buffers nor the newer types), none of them checks that an
offset stays inside the file, and importing them costs more time than reading a model.

Which schema serves what: this one serves reading (loaders/tflite) and building (modelbuilder), neither of which needs
anything installed. Fixes of .tflite files change a whole file and write it again, also the parts of it that nobody here
knows: they use the object API in the wheel of LiteRT, which is generated from the schema of the very runtime that
judges them (fixes/tflite/object_api.py). The `tflite` package and that wheel judge this one in the tests.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

# One table a line: its name, then `field:type` in slot order; "-" for a deprecated field; `=n` for a default but 0.
_TABLES = """
Model version:uint32 operator_codes:[OperatorCode] subgraphs:[SubGraph] description:string buffers:[Buffer]
    metadata_buffer:[int32] metadata:[Metadata] signature_defs:[SignatureDef]
    external_buffer_groups:[ExternalBufferGroup] external_buffers:[ExternalBuffer]
OperatorCode deprecated_builtin_code:int8 custom_code:string version:int32=1 builtin_code:BuiltinOperator
SubGraph tensors:[Tensor] inputs:[int32] outputs:[int32] operators:[Operator] name:string
    debug_metadata_index:int32=-1
Tensor shape:[int32] type:TensorType buffer:uint32 name:string quantization:QuantizationParameters
    is_variable:bool sparsity:SparsityParameters shape_signature:[int32] has_rank:bool
    variant_tensors:[VariantSubType] external_buffer:uint32
Operator opcode_index:uint32 inputs:[int32] outputs:[int32] builtin_options:BuiltinOptions
    custom_options:[uint8] custom_options_format:CustomOptionsFormat mutating_variable_inputs:[bool]
    intermediates:[int32] large_custom_options_offset:uint64 large_custom_options_size:uint64
    builtin_options_2:BuiltinOptions2 debug_metadata_index:int32=-1
Buffer data:[uint8] offset:uint64 size:uint64
Metadata name:string buffer:uint32
SignatureDef inputs:[TensorMap] outputs:[TensorMap] signature_key:string -:string subgraph_index:uint32
TensorMap name:string tensor_index:uint32
QuantizationParameters min:[float32] max:[float32] scale:[float32] zero_point:[int64]
    details:QuantizationDetails quantized_dimension:int32
CustomQuantization custom:[uint8]
BlockwiseQuantization scales:int32 zero_points:int32 block_size:int32 block_shape:[int32]
MultiAxisQuantization scales:int32 zero_points:int32 block_size:int32 quantized_dimensions:[int32]
VariantSubType shape:[int32] type:TensorType has_rank:bool
SparsityParameters traversal_order:[int32] block_map:[int32] dim_metadata:[DimensionMetadata]
DimensionMetadata format:DimensionType dense_size:int32 array_segments:SparseIndexVector
    array_indices:SparseIndexVector
Int32Vector values:[int32]
Uint16Vector values:[uint16]
Uint8Vector values:[uint8]
ExternalBufferGroup name:string
ExternalBuffer id:uint32 group:uint32 offset:uint64 length:uint64 packing:string
AddOptions fused_activation_function:ActivationFunctionType pot_scale_int16:bool=1
ArgMaxOptions output_type:TensorType
ArgMinOptions output_type:TensorType
BatchMatMulOptions adj_x:bool adj_y:bool asymmetric_quantize_inputs:bool
BidirectionalSequenceLSTMOptions fused_activation_function:ActivationFunctionType cell_clip:float32
    proj_clip:float32 merge_outputs:bool time_major:bool=1 asymmetric_quantize_inputs:bool
BidirectionalSequenceRNNOptions time_major:bool fused_activation_function:ActivationFunctionType
    merge_outputs:bool asymmetric_quantize_inputs:bool
BucketizeOptions boundaries:[float32]
CallOnceOptions init_subgraph_index:int32
CallOptions subgraph:uint32
CastOptions in_data_type:TensorType out_data_type:TensorType
ConcatEmbeddingsOptions num_channels:int32 num_columns_per_channel:[int32] embedding_dim_per_channel:[int32]
ConcatenationOptions axis:int32 fused_activation_function:ActivationFunctionType
Conv2DOptions padding:Padding stride_w:int32 stride_h:int32 fused_activation_function:ActivationFunctionType
    dilation_w_factor:int32=1 dilation_h_factor:int32=1 quantized_bias_type:TensorType
Conv3DOptions padding:Padding stride_d:int32 stride_w:int32 stride_h:int32
    fused_activation_function:ActivationFunctionType dilation_d_factor:int32=1 dilation_w_factor:int32=1
    dilation_h_factor:int32=1
CumsumOptions exclusive:bool reverse:bool
DepthToSpaceOptions block_size:int32
DepthwiseConv2DOptions padding:Padding stride_w:int32 stride_h:int32 depth_multiplier:int32
    fused_activation_function:ActivationFunctionType dilation_w_factor:int32=1 dilation_h_factor:int32=1
DivOptions fused_activation_function:ActivationFunctionType
EmbeddingLookupSparseOptions combiner:CombinerType
FakeQuantOptions min:float32 max:float32 num_bits:int32 narrow_range:bool
FullyConnectedOptions fused_activation_function:ActivationFunctionType
    weights_format:FullyConnectedOptionsWeightsFormat keep_num_dims:bool asymmetric_quantize_inputs:bool
    quantized_bias_type:TensorType quant_spec:[uint8]
GatherOptions axis:int32 batch_dims:int32
GeluOptions approximate:bool
HashtableOptions table_id:int32 key_dtype:TensorType value_dtype:TensorType
IfOptions then_subgraph_index:int32 else_subgraph_index:int32
L2NormOptions fused_activation_function:ActivationFunctionType
LSHProjectionOptions type:LSHProjectionType
LSTMOptions fused_activation_function:ActivationFunctionType cell_clip:float32 proj_clip:float32
    kernel_type:LSTMKernelType asymmetric_quantize_inputs:bool
LeakyReluOptions alpha:float32
LocalResponseNormalizationOptions radius:int32 bias:float32 alpha:float32 beta:float32
MirrorPadOptions mode:MirrorPadMode
MulOptions fused_activation_function:ActivationFunctionType
OneHotOptions axis:int32
PackOptions values_count:int32 axis:int32
Pool2DOptions padding:Padding stride_w:int32 stride_h:int32 filter_width:int32 filter_height:int32
    fused_activation_function:ActivationFunctionType
RNNOptions fused_activation_function:ActivationFunctionType asymmetric_quantize_inputs:bool
RandomOptions seed:int64 seed2:int64
ReduceWindowOptions reduce_function:ReduceWindowFunction
ReducerOptions keep_dims:bool
ReshapeOptions new_shape:[int32]
ResizeBilinearOptions -:int32 -:int32 align_corners:bool half_pixel_centers:bool
ResizeNearestNeighborOptions align_corners:bool half_pixel_centers:bool
ReverseSequenceOptions seq_dim:int32 batch_dim:int32
SVDFOptions rank:int32 fused_activation_function:ActivationFunctionType asymmetric_quantize_inputs:bool
SequenceRNNOptions time_major:bool fused_activation_function:ActivationFunctionType
    asymmetric_quantize_inputs:bool
ShapeOptions out_type:TensorType
SkipGramOptions ngram_size:int32 max_skip_size:int32 include_all_ngrams:bool
SoftmaxOptions beta:float32
SpaceToDepthOptions block_size:int32
SparseToDenseOptions validate_indices:bool
SplitOptions num_splits:int32
SplitVOptions num_splits:int32
SqueezeOptions squeeze_dims:[int32]
StableHLOCompositeOptions name:string decomposition_subgraph_index:int32 composite_attributes:[uint8]
    composite_attributes_format:CustomOptionsFormat version:int32
StablehloBroadcastInDimOptions broadcast_dimensions:[int64]
StablehloCaseOptions branch_subgraph_indices:[int32]
StablehloCompareOptions comparison_direction:StablehloComparisonDirection compare_type:StablehloComparisonType
StablehloConcatenateOptions dimension:int64
StablehloConvolutionOptions window_strides:[int64] padding:[int64] lhs_dilation:[int64] rhs_dilation:[int64]
    window_reversal:[bool] input_batch_dimension:int64 input_feature_dimension:int64
    input_spatial_dimensions:[int64] kernel_input_feature_dimension:int64
    kernel_output_feature_dimension:int64 kernel_spatial_dimensions:[int64] output_batch_dimension:int64
    output_feature_dimension:int64 output_spatial_dimensions:[int64] feature_group_count:int64
    batch_group_count:int64 precision_config:[StablehloPrecisionConfig]
StablehloCustomCallOptions call_target_name:string has_side_effect:bool backend_config:string
    api_version:int32 called_computations:[int32] custom_attributes:[uint8]
StablehloDotGeneralOptions lhs_batching_dimensions:[int64] rhs_batching_dimensions:[int64]
    lhs_contracting_dimensions:[int64] rhs_contracting_dimensions:[int64]
    precision_config:[StablehloPrecisionConfig]
StablehloDynamicSliceOptions slice_sizes:[int64]
StablehloGatherOptions offset_dims:[int64] collapsed_slice_dims:[int64] start_index_map:[int64]
    index_vector_dim:int64 slice_sizes:[int64] indices_are_sorted:bool
StablehloIotaOptions iota_dimension:int64
StablehloPadOptions edge_padding_low:[int64] edge_padding_high:[int64] interior_padding:[int64]
StablehloReduceOptions dimensions:[int64] body_subgraph_index:int32
StablehloReduceWindowOptions window_dimensions:[int64] window_strides:[int64] base_dilations:[int64]
    window_dilations:[int64] padding:[int64] body_subgraph_index:int32
StablehloRngBitGeneratorOptions algorithm:RngAlgorithm
StablehloScatterOptions indices_are_sorted:bool update_window_dims:[int64] inserted_window_dims:[int64]
    scatter_dims_to_operand_dims:[int64] index_vector_dim:int64 unique_indices:bool
    update_computation_subgraph_index:int32
StablehloSliceOptions start_indices:[int64] limit_indices:[int64] strides:[int64]
StablehloSortOptions dimension:int64 is_stable:bool comparator_subgraph_index:int32
StablehloTransposeOptions permutation:[int64]
StablehloWhileOptions cond_subgraph_index:int32 body_subgraph_index:int32
StridedSliceOptions begin_mask:int32 end_mask:int32 ellipsis_mask:int32 new_axis_mask:int32
    shrink_axis_mask:int32 offset:bool
SubOptions fused_activation_function:ActivationFunctionType pot_scale_int16:bool=1
TransposeConvOptions padding:Padding stride_w:int32 stride_h:int32
    fused_activation_function:ActivationFunctionType quantized_bias_type:TensorType
UnidirectionalSequenceLSTMOptions fused_activation_function:ActivationFunctionType cell_clip:float32
    proj_clip:float32 time_major:bool asymmetric_quantize_inputs:bool diagonal_recurrent_tensors:bool
UniqueOptions idx_out_type:TensorType=2
UnpackOptions num:int32 axis:int32
VarHandleOptions container:string shared_name:string
WhileOptions cond_subgraph_index:int32 body_subgraph_index:int32
"""

# Names by number, from 0 on; none of these enums has gaps.
_ENUMS = {
    "TensorType": """
        FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128 UINT64 RESOURCE
        VARIANT UINT32 UINT16 INT4 BFLOAT16 INT2 UINT4 FLOAT8_E4M3FN FLOAT8_E5M2
    """,
    "BuiltinOperator": """
        ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP
        FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION
        LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN
        SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD
        UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
        UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX
        DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER
        GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL
        NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR
        ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL
        FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE
        CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE
        MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND
        SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE
        BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT
        HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
        RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
        UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN
        BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY
        STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM
        STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
        STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM
        STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT
        STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
        STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA
        STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER
        STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE
        STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
    """,
    "StablehloPrecisionConfig": "DEFAULT HIGH HIGHEST",
    "StablehloComparisonDirection": """
        STABLEHLO_COMPARISON_DIRECTION_EQ STABLEHLO_COMPARISON_DIRECTION_NE STABLEHLO_COMPARISON_DIRECTION_GE
        STABLEHLO_COMPARISON_DIRECTION_GT STABLEHLO_COMPARISON_DIRECTION_LE STABLEHLO_COMPARISON_DIRECTION_LT
    """,
    "StablehloComparisonType": """
        STABLEHLO_COMPARISON_TYPE_NOTYPE STABLEHLO_COMPARISON_TYPE_FLOAT
        STABLEHLO_COMPARISON_TYPE_FLOAT_TOTAL_ORDER STABLEHLO_COMPARISON_TYPE_SIGNED
        STABLEHLO_COMPARISON_TYPE_UNSIGNED
    """,
    "RngAlgorithm": "DEFAULT PHILOX THREEFRY",
    "Padding": "SAME VALID",
    "ActivationFunctionType": "NONE RELU RELU_N1_TO_1 RELU6 TANH SIGN_BIT",
    "LSHProjectionType": "UNKNOWN SPARSE DENSE",
    "FullyConnectedOptionsWeightsFormat": "DEFAULT SHUFFLED4x16INT8",
    "LSTMKernelType": "FULL BASIC",
    "CombinerType": "SUM MEAN SQRTN",
    "MirrorPadMode": "REFLECT SYMMETRIC",
    "ReduceWindowFunction": "UNSUPPORTED ADD MUL MINIMUM MAXIMUM ALL ANY",
    "CustomOptionsFormat": "FLEXBUFFERS",
    "DimensionType": "DENSE SPARSE_CSR",
}

# Member tables by number, from 1 on (0 is "none").
_UNIONS = {
    "BuiltinOptions": """
        Conv2DOptions DepthwiseConv2DOptions ConcatEmbeddingsOptions LSHProjectionOptions Pool2DOptions
        SVDFOptions RNNOptions FullyConnectedOptions SoftmaxOptions ConcatenationOptions AddOptions
        L2NormOptions LocalResponseNormalizationOptions LSTMOptions ResizeBilinearOptions CallOptions
        ReshapeOptions SkipGramOptions SpaceToDepthOptions EmbeddingLookupSparseOptions MulOptions PadOptions
        GatherOptions BatchToSpaceNDOptions SpaceToBatchNDOptions TransposeOptions ReducerOptions SubOptions
        DivOptions SqueezeOptions SequenceRNNOptions StridedSliceOptions ExpOptions TopKV2Options SplitOptions
        LogSoftmaxOptions CastOptions DequantizeOptions MaximumMinimumOptions ArgMaxOptions LessOptions
        NegOptions PadV2Options GreaterOptions GreaterEqualOptions LessEqualOptions SelectOptions SliceOptions
        TransposeConvOptions SparseToDenseOptions TileOptions ExpandDimsOptions EqualOptions NotEqualOptions
        ShapeOptions PowOptions ArgMinOptions FakeQuantOptions PackOptions LogicalOrOptions OneHotOptions
        LogicalAndOptions LogicalNotOptions UnpackOptions FloorDivOptions SquareOptions ZerosLikeOptions
        FillOptions BidirectionalSequenceLSTMOptions BidirectionalSequenceRNNOptions
        UnidirectionalSequenceLSTMOptions FloorModOptions RangeOptions ResizeNearestNeighborOptions
        LeakyReluOptions SquaredDifferenceOptions MirrorPadOptions AbsOptions SplitVOptions UniqueOptions
        ReverseV2Options AddNOptions GatherNdOptions CosOptions WhereOptions RankOptions
        ReverseSequenceOptions MatrixDiagOptions QuantizeOptions MatrixSetDiagOptions HardSwishOptions
        IfOptions WhileOptions DepthToSpaceOptions NonMaxSuppressionV4Options NonMaxSuppressionV5Options
        ScatterNdOptions SelectV2Options DensifyOptions SegmentSumOptions BatchMatMulOptions CumsumOptions
        CallOnceOptions BroadcastToOptions Rfft2dOptions Conv3DOptions HashtableOptions HashtableFindOptions
        HashtableImportOptions HashtableSizeOptions VarHandleOptions ReadVariableOptions AssignVariableOptions
        RandomOptions BucketizeOptions GeluOptions DynamicUpdateSliceOptions UnsortedSegmentProdOptions
        UnsortedSegmentMaxOptions UnsortedSegmentMinOptions UnsortedSegmentSumOptions ATan2Options SignOptions
        BitcastOptions BitwiseXorOptions RightShiftOptions
    """,
    "BuiltinOptions2": """
        StablehloConcatenateOptions StablehloBroadcastInDimOptions StablehloSliceOptions
        StablehloConvolutionOptions StablehloCustomCallOptions StablehloReduceOptions StablehloScatterOptions
        StablehloCompareOptions StablehloDynamicSliceOptions StablehloPadOptions StablehloIotaOptions
        StablehloDotGeneralOptions StablehloReduceWindowOptions StablehloSortOptions StablehloWhileOptions
        StablehloGatherOptions StablehloTransposeOptions DilateOptions StablehloRngBitGeneratorOptions
        ReduceWindowOptions StableHLOCompositeOptions StablehloShiftLeftOptions StablehloCaseOptions
    """,
    "QuantizationDetails": "CustomQuantization BlockwiseQuantization MultiAxisQuantization",
    "SparseIndexVector": "Int32Vector Uint16Vector Uint8Vector",
}

# Which options table the runtime reads for an operator; it takes any other one, or none, for the defaults.
_OPTIONS_OF = """
AddOptions ADD
ArgMaxOptions ARG_MAX
ArgMinOptions ARG_MIN
BatchMatMulOptions BATCH_MATMUL
BidirectionalSequenceLSTMOptions BIDIRECTIONAL_SEQUENCE_LSTM
BidirectionalSequenceRNNOptions BIDIRECTIONAL_SEQUENCE_RNN
BucketizeOptions BUCKETIZE
CallOnceOptions CALL_ONCE
CastOptions CAST
ConcatenationOptions CONCATENATION
Conv2DOptions CONV_2D
Conv3DOptions CONV_3D CONV_3D_TRANSPOSE
CumsumOptions CUMSUM
DepthToSpaceOptions DEPTH_TO_SPACE
DepthwiseConv2DOptions DEPTHWISE_CONV_2D
DivOptions DIV
EmbeddingLookupSparseOptions EMBEDDING_LOOKUP_SPARSE
FakeQuantOptions FAKE_QUANT
FullyConnectedOptions FULLY_CONNECTED
GatherOptions GATHER
GeluOptions GELU
HashtableOptions HASHTABLE
IfOptions IF
L2NormOptions L2_NORMALIZATION
LSHProjectionOptions LSH_PROJECTION
LSTMOptions LSTM
LeakyReluOptions LEAKY_RELU
LocalResponseNormalizationOptions LOCAL_RESPONSE_NORMALIZATION
MirrorPadOptions MIRROR_PAD
MulOptions MUL
OneHotOptions ONE_HOT
PackOptions PACK
Pool2DOptions AVERAGE_POOL_2D L2_POOL_2D MAX_POOL_2D
RNNOptions RNN
RandomOptions MULTINOMIAL RANDOM_STANDARD_NORMAL RANDOM_UNIFORM
ReduceWindowOptions REDUCE_WINDOW
ReducerOptions MEAN REDUCE_ANY REDUCE_ALL REDUCE_MAX REDUCE_MIN REDUCE_PROD SUM
ReshapeOptions RESHAPE
ResizeBilinearOptions RESIZE_BILINEAR
ResizeNearestNeighborOptions RESIZE_NEAREST_NEIGHBOR
ReverseSequenceOptions REVERSE_SEQUENCE
SVDFOptions SVDF
SequenceRNNOptions UNIDIRECTIONAL_SEQUENCE_RNN
ShapeOptions SHAPE
SkipGramOptions SKIP_GRAM
SoftmaxOptions SOFTMAX
SpaceToDepthOptions SPACE_TO_DEPTH
SparseToDenseOptions SPARSE_TO_DENSE
SplitOptions SPLIT
SplitVOptions SPLIT_V
SqueezeOptions SQUEEZE
StableHLOCompositeOptions STABLEHLO_COMPOSITE
StablehloCaseOptions STABLEHLO_CASE
StablehloGatherOptions STABLEHLO_GATHER
StablehloPadOptions STABLEHLO_PAD
StablehloReduceWindowOptions STABLEHLO_REDUCE_WINDOW
StablehloRngBitGeneratorOptions STABLEHLO_RNG_BIT_GENERATOR
StablehloScatterOptions STABLEHLO_SCATTER
StridedSliceOptions STRIDED_SLICE
SubOptions SUB
TransposeConvOptions TRANSPOSE_CONV
UnidirectionalSequenceLSTMOptions UNIDIRECTIONAL_SEQUENCE_LSTM
UniqueOptions UNIQUE
UnpackOptions UNPACK
VarHandleOptions VAR_HANDLE
WhileOptions WHILE
"""

# struct format of each scalar; an enum is one byte unless it is named here too.
_SCALARS = {
    "bool": "?", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "q", "uint64": "Q", "float32": "f", "BuiltinOperator": "i", "ReduceWindowFunction": "i",
    "StablehloComparisonDirection": "I", "StablehloComparisonType": "I", "StablehloPrecisionConfig": "I",
}  # fmt: skip


class Field(NamedTuple):
    """One field of a table.

    Attributes:
        slot: its number in the table; a union takes two, of which this is the first.
        type: "string", a scalar, or the name of a table, an enum or a union; of the elements, for a vector.
        is_vector: whether it is a vector.
        format: struct format of the scalar or enum, or of a vector's elements; "" for everything else.
        default: value of a scalar that the file leaves out.
    """

    slot: int
    type: str
    is_vector: bool
    format: str
    default: int


@cache
def table(name: str) -> dict[str, Field]:
    """The fields of a table by name, without the deprecated ones."""
    fields, slot = {}, 0
    for text in _tables()[name]:
        field_name, _, type_ = text.partition(":")
        type_, _, default = type_.partition("=")
        is_vector = type_.startswith("[")
        type_ = type_.strip("[]")
        format_ = _SCALARS.get(type_) or ("b" if type_ in _ENUMS else "")
        if field_name != "-":
            fields[field_name] = Field(slot, type_, is_vector, format_, int(default or 0))
        slot += 2 if type_ in _UNIONS else 1
    return fields


@cache
def enum(name: str) -> tuple[str, ...]:
    """The names of an enum's values, by number."""
    return tuple(_ENUMS[name].split())


@cache
def union(name: str) -> tuple[str, ...]:
    """The member tables of a union, by number; the first one, "NONE", stands for none."""
    return ("NONE", *_UNIONS[name].split())


@cache
def options_of() -> dict[str, str]:
    """Operator type -> the options table that the runtime reads for it; only tables that have fields."""
    return {op: name for name, *ops in map(str.split, _OPTIONS_OF.strip().splitlines()) for op in ops}


def is_enum(type_: str) -> bool:
    return type_ in _ENUMS


def is_union(type_: str) -> bool:
    return type_ in _UNIONS


def has_table(name: str) -> bool:
    """Whether a table has fields that are read here; options without fields are not listed."""
    return name in _tables()


@cache
def _tables() -> dict[str, list[str]]:
    rows = (row.split() for row in _TABLES.strip().replace("\n    ", " ").splitlines())
    return {name: fields for name, *fields in rows}
