"""Models with recurrent layers for make_keras_lowering_models.py: a pruned CNN makes a sequence of an image's columns.

With a fixed batch, as the converter needs it: 1, or 2 (NAME_two).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Tensor = Any
Body = Callable[[Tensor], Tensor]

_MODES = ("concat", "sum", "ave", "mul", None)


def loop_bodies(keras: Any) -> dict[str, Body]:
    """Layers on a sequence of 20 steps with 16 channels."""
    layers = keras.layers

    def short(x: Tensor, steps: int = 3) -> Tensor:
        return layers.Cropping1D((0, 20 - steps))(x)

    def both(mode: str | None, **options: Any) -> Body:
        def body(x: Tensor) -> Tensor:
            y = layers.Bidirectional(layers.LSTM(6, **options), merge_mode=mode)(x)
            return layers.Concatenate()(y) if mode is None else y

        return body

    def attended(x: Tensor) -> Tensor:
        y = layers.GRU(8, return_sequences=True)(x)
        return layers.Attention()([y, y])

    def residual(x: Tensor) -> Tensor:
        return layers.Add()([x, layers.LSTM(16, return_sequences=True)(x)])

    def shared(x: Tensor) -> Tensor:
        layer = layers.GRU(16, return_sequences=True)
        return layer(layer(x))

    found: dict[str, Body] = {
        "lstm": lambda x: layers.LSTM(6)(x),
        "lstm_sequences": lambda x: layers.LSTM(6, return_sequences=True)(x),
        "lstm_backwards": lambda x: layers.LSTM(6, go_backwards=True)(x),
        "lstm_backwards_sequences": lambda x: layers.LSTM(6, go_backwards=True, return_sequences=True)(x),
        "lstm_unrolled": lambda x: layers.LSTM(6, unroll=True)(short(x)),
        "lstm_unrolled_backwards": lambda x: layers.LSTM(6, unroll=True, go_backwards=True)(short(x, 12)),
        "lstm_unrolled_sequences": lambda x: layers.LSTM(6, unroll=True, return_sequences=True)(short(x)),
        "lstm_states": lambda x: layers.Concatenate()(layers.LSTM(6, return_state=True)(x)),
        "lstm_without_bias": lambda x: layers.LSTM(6, use_bias=False)(x),
        "lstm_activations": lambda x: layers.LSTM(6, activation="relu", recurrent_activation="hard_sigmoid")(x),
        "lstm_of_one_step": lambda x: layers.LSTM(6, return_sequences=True)(short(x, 1)),
        "lstm_stateful": lambda x: layers.LSTM(6, stateful=True)(x),
        "lstm_dropout": lambda x: layers.LSTM(6, dropout=0.2)(x),
        "gru_stateful": lambda x: layers.GRU(6, stateful=True, return_sequences=True)(x),
        "simple_dropout": lambda x: layers.SimpleRNN(6, dropout=0.2, recurrent_dropout=0.1)(x),
        "both_dropout": lambda x: layers.Bidirectional(layers.GRU(6, dropout=0.2))(x),
        "lstm_twice": lambda x: layers.LSTM(5)(layers.LSTM(6, return_sequences=True)(x)),
        "lstm_residual": residual,
        "gru": lambda x: layers.GRU(6)(x),
        "gru_sequences": lambda x: layers.GRU(6, return_sequences=True)(x),
        "gru_backwards": lambda x: layers.GRU(6, go_backwards=True)(x),
        "gru_reset_before": lambda x: layers.GRU(6, reset_after=False)(x),
        "gru_reset_before_without_bias": lambda x: layers.GRU(6, reset_after=False, use_bias=False)(x),
        "gru_without_bias": lambda x: layers.GRU(6, use_bias=False)(x),
        "gru_unrolled": lambda x: layers.GRU(6, unroll=True)(short(x, 4)),
        "gru_state": lambda x: layers.Concatenate()(layers.GRU(6, return_state=True)(x)),
        "gru_activations": lambda x: layers.GRU(6, activation="elu", recurrent_activation="relu")(x),
        "gru_attended": attended,
        "gru_shared": shared,
        "simple": lambda x: layers.SimpleRNN(6)(x),
        "simple_sequences": lambda x: layers.SimpleRNN(6, return_sequences=True)(x),
        "simple_relu_without_bias": lambda x: layers.SimpleRNN(6, activation="relu", use_bias=False)(x),
        "simple_unrolled": lambda x: layers.SimpleRNN(6, unroll=True)(short(x, 12)),
        "both_gru_sequences": lambda x: layers.Bidirectional(layers.GRU(6, return_sequences=True))(x),
        "both_simple": lambda x: layers.Bidirectional(layers.SimpleRNN(6))(x),
        "both_of_two_kinds": lambda x: layers.Bidirectional(
            layers.LSTM(6), backward_layer=layers.GRU(6, go_backwards=True)
        )(x),
    }
    for mode in _MODES:
        found[f"both_{mode}".lower()] = both(mode)
        found[f"both_{mode}_sequences".lower()] = both(mode, return_sequences=True)
    return found


TWO = ("lstm", "lstm_sequences", "lstm_unrolled", "gru", "gru_unrolled", "simple", "both_gru_sequences")
"""Those that are made for a batch of two as well."""
