"""A callback for `fit` of tf_keras and of Keras 3."""

from __future__ import annotations

import csv
import importlib.util
import os
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from xnnlint.errors import XnnlintError
from xnnlint.training.watch import Look, Start, TrainingWatch
from xnnlint.training.words import end_lines, epoch_line, start_lines

ZEROS, SPMM = "xnnlint_zeros", "xnnlint_spmm"
_COLUMNS = ("epoch", "outcome", "spmm", "cluster", "layers", "weights", "zeros", "share")


class LintCallback:
    """Says before the first step whether pruning can pay for a network, and logs its zeros after every epoch.

    It goes behind `tfmot.sparsity.keras.UpdatePruningStep`, which sets the weights to zero at the end of an epoch:

        model.fit(x, y, callbacks=[UpdatePruningStep(), LintCallback(log_dir="logs")])

    After every epoch `logs` has `xnnlint_zeros`, the smallest share of zeros among the clusters (0 to 1; more than two
    thirds are needed), and `xnnlint_spmm`, how many 1x1 convolutions would run SpMM if the model were exported then.

    It is no subclass of a `Callback`: tf_keras and Keras 3 have one each, and neither is imported for this. Both take
    whatever has their methods.

    Args:
        share: the share of zeros that the model will be pruned to, between 0 and 1.
        runtime, cpu: what to predict for, as in `xnnlint profiles`.
        log_dir: folder for TensorBoard, such as that of `PruningSummaries`; needs TensorFlow and tensorboard.
        csv: file that gets a line for each cluster and epoch.
        tell: gets each line that is said; None for silence. By default they are printed.

    Attributes:
        start: what was known before the first step.
        looks: what was seen after each epoch.
    """

    # What tf_keras and Keras 3 look at.
    _supports_tf_logs = False
    async_safe = False

    def __init__(
        self,
        *,
        share: float = 0.8,
        runtime: str | None = None,
        cpu: str | None = None,
        log_dir: str | os.PathLike[str] | None = None,
        csv: str | os.PathLike[str] | None = None,
        tell: Callable[[str], None] | None = print,
    ) -> None:
        self._share, self._target = share, (runtime, cpu)
        self._log_dir, self._csv, self._tell = log_dir, csv, tell or _silent
        self._watch: TrainingWatch | None = None
        self._writer: Any = None
        self.model: Any = None
        self.params: dict[str, Any] = {}
        self.looks: list[Look] = []

    @property
    def start(self) -> Start | None:
        return self._watch.start if self._watch is not None else None

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self.model = model

    def on_train_begin(self, logs: MutableMapping[str, Any] | None = None) -> None:
        """Look at the network, and say whether pruning can pay."""
        runtime, cpu = self._target
        self._watch = TrainingWatch(self.model, share=self._share, runtime=runtime, cpu=cpu)
        self.looks = []
        if self._log_dir is not None:
            self._writer = _summary_writer(self._log_dir)
        for line in start_lines(self._watch.start):
            self._tell(line)
        if self._csv is not None:
            with Path(self._csv).open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow(_COLUMNS)

    def on_epoch_end(self, epoch: int, logs: MutableMapping[str, Any] | None = None) -> None:
        """Measure the zeros; `epoch` counts from 0."""
        assert self._watch is not None
        look = self._watch.look(self.model)
        self.looks.append(look)
        if logs is not None:
            logs[SPMM] = look.spmm
            if look.least is not None:
                logs[ZEROS] = look.least
        self._tell(epoch_line(epoch, look))
        if self._csv is not None:
            with Path(self._csv).open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(_rows(epoch, look))
        if self._writer is not None:
            self._summarise(epoch, look)

    def on_train_end(self, logs: MutableMapping[str, Any] | None = None) -> None:
        """Name what is missing."""
        if self.looks:
            for line in end_lines(self.looks[-1]):
                self._tell(line)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _summarise(self, epoch: int, look: Look) -> None:
        import tensorflow as tf

        with self._writer.as_default(step=epoch):
            tf.summary.scalar("xnnlint/spmm", look.spmm)
            for number, cluster in enumerate(look.clusters):
                tf.summary.scalar(f"xnnlint/zeros/cluster_{number}", cluster.share)
        self._writer.flush()

    # Both kinds of Keras ask tf_keras's way whether anything happens for a batch; nothing does.

    def _implements_train_batch_hooks(self) -> bool:
        return False

    def _implements_test_batch_hooks(self) -> bool:
        return False

    def _implements_predict_batch_hooks(self) -> bool:
        return False

    def _nothing(self, *_: Any, **__: Any) -> None:
        """The other hooks of a Callback."""

    on_epoch_begin = on_batch_begin = on_batch_end = on_train_batch_begin = on_train_batch_end = _nothing
    on_test_begin = on_test_end = on_test_batch_begin = on_test_batch_end = _nothing
    on_predict_begin = on_predict_end = on_predict_batch_begin = on_predict_batch_end = _nothing


def _silent(line: str) -> None:
    pass


def _summary_writer(folder: str | os.PathLike[str]) -> Any:
    """Raises: XnnlintError: there is no TensorBoard, which is better known now than after the first epoch."""
    if importlib.util.find_spec("tensorflow") is None or importlib.util.find_spec("tensorboard") is None:
        raise XnnlintError("log_dir needs TensorFlow and TensorBoard: pip install tensorflow tensorboard")
    import tensorflow as tf

    return tf.summary.create_file_writer(os.fspath(Path(folder, "xnnlint")))


def _rows(epoch: int, look: Look) -> list[tuple[Any, ...]]:
    """A line of the file for each cluster."""
    return [
        (
            epoch + 1,
            look.outcome.value,
            look.spmm,
            number,
            " ".join(cluster.layers),
            cluster.weights,
            cluster.zeros,
            f"{cluster.share:.6f}",
        )
        for number, cluster in enumerate(look.clusters)
    ]
