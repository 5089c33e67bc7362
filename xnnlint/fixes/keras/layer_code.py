"""A layer as the user would write it in code, without what is the default."""

from __future__ import annotations

from typing import Any

from xnnlint.fixes.keras.config_scope import Entry, name_of

_DEFAULTS: dict[str, Any] = {
    "strides": [1, 1],
    "padding": "valid",
    "dilation_rate": [1, 1],
    "groups": 1,
    "activation": "linear",
    "use_bias": True,
    "depth_multiplier": 1,
    "keepdims": False,
    "interpolation": "nearest",
    "axis": -1,
    "data_format": "channels_last",
}
_SHOWN = {
    "Conv2D": ("filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "activation", "use_bias"),
    "DepthwiseConv2D": (
        "kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier", "activation", "use_bias",
    ),
    "SeparableConv2D": ("filters", "kernel_size", "strides", "padding", "activation", "use_bias"),
    "GlobalAveragePooling2D": ("keepdims",),
    "AveragePooling2D": ("pool_size", "strides", "padding"),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "Rescaling": ("scale", "offset"),
    "ZeroPadding2D": ("padding",),
    "UpSampling2D": ("size", "interpolation"),
    "Reshape": ("target_shape",),
    "Activation": ("activation",),
    "Permute": ("dims",),
    "Concatenate": ("axis",),
    "Dense": ("units", "activation", "use_bias"),
}  # fmt: skip
_POSITIONAL = ("filters", "kernel_size", "units", "pool_size", "target_shape", "size", "dims")


def code(entry: Entry) -> str:
    """Such as `GlobalAveragePooling2D(name="avg_pool", keepdims=True)`."""
    config, class_name = entry["config"], entry["class_name"]
    if class_name == "TFOpLambda":
        return _operation(entry)
    if str(entry.get("module", "")).startswith("keras.src.ops"):
        return _keras_operation(entry)
    given, named = [], [f'name="{name_of(entry)}"']
    for key in _SHOWN.get(class_name, ()):
        value = config.get(key)
        # A pooling's strides are its size by default.
        default = config.get("pool_size", _DEFAULTS.get(key)) if key == "strides" else _DEFAULTS.get(key)
        if value is None or value == default:
            continue
        text = _value(key, value)
        if key in _POSITIONAL or (class_name in ("ZeroPadding2D", "Activation") and key in ("padding", "activation")):
            given.append(text)
        else:
            named.append(f"{key}={text}")
    return f"{class_name}({', '.join([*given, *named])})"


def _operation(entry: Entry) -> str:
    nodes = entry.get("inbound_nodes") or [[None, 0, 0, {}]]
    node = nodes[0] if isinstance(nodes[0][0], str) else nodes[0][0]
    rest = node[3] if len(node) > 3 else {}
    shown = [f"{key}={value}" for key, value in rest.items() if key != "name" and value is not None]
    return f"tf.{entry['config'].get('function')}({', '.join([str(node[0]), *shown])})"


def _keras_operation(entry: Entry) -> str:
    """Such as `ops.multiply(re_lu_1, 0.5)`."""
    nodes = entry.get("inbound_nodes") or [{}]
    shown = []
    for argument in nodes[0].get("args", ()) if isinstance(nodes[0], dict) else ():
        config = argument.get("config", {}) if isinstance(argument, dict) else {}
        if "keras_history" in config:
            shown.append(str(config["keras_history"][0]))
        elif "value" in config:
            shown.append(f"np.array({config['value']}, {config.get('dtype')!r})")
        else:
            shown.append(str(argument))
    return f"ops.{entry['class_name'].lower()}({', '.join(shown)})"


def _value(key: str, value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return str(value.get("class_name") or value.get("config"))
    if isinstance(value, list):
        while key in ("scale", "offset") and isinstance(value[0], list):
            value = value[0]
        flat = {part for row in value for part in (row if isinstance(row, list) else [row])}
        if key in ("kernel_size", "strides", "dilation_rate", "padding", "pool_size", "size") and len(flat) == 1:
            return str(flat.pop())
        return str(_tuples(value))
    return str(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
