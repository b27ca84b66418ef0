"""Small networks drawn at random, right and wrong ones, each with data, labels, loss, metric and leaves.

    @given(drawn_models())
    def test(drawn): verdict_of(drawn, folder, evaluator)

A drawn model is the text of a model file, as a user writes it.  Its layers need not fit each other, its labels need not
fit the loss: whatever is drawn ends in measured leaves, or in one line.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

LEAVES = ("ptq", "qat", "prune", "pqat", "cluster", "cqat", "pcqat", "npu_ptq", "npu_pcqat", "int16x8")
SAMPLES = 96

ACTIVATIONS = ("relu", "relu", "relu", "linear", "relu6", "sigmoid", "tanh", "swish", "elu", "softmax", "softplus")
IMAGE = (
    "L.Conv2D({n}, {k}, activation='{a}')",
    "L.Conv2D({n}, {k}, padding='same', use_bias=False)",
    "L.Conv2D({n}, 1, strides=2, activation='{a}')",
    "L.DepthwiseConv2D({k}, activation='{a}')",
    "L.SeparableConv2D({n}, {k}, padding='same')",
    "L.Conv2DTranspose({n}, 2, strides=2)",
    "L.BatchNormalization()",
    "L.BatchNormalization(trainable=False)",
    "L.ReLU()",
    "L.ReLU(6.0)",
    "L.LeakyReLU()",
    "L.PReLU()",
    "L.Activation('{a}')",
    "L.MaxPooling2D(2)",
    "L.AveragePooling2D(2)",
    "L.UpSampling2D(2)",
    "L.ZeroPadding2D(1)",
    "L.Dropout(0.2)",
    "L.LayerNormalization()",
    "L.GroupNormalization(1)",
    "L.Rescaling(1 / 255)",
    "L.Normalization(mean=0.1, variance=2.0)",
    "L.Conv2D({n}, {k}, trainable=False)",
    "L.Lambda(lambda t: t * 2)",
    "L.Conv2D({n}, {k}, data_format='channels_first')",
    "L.ConvLSTM1D({n}, 2)",
)
SEQUENCE = (
    "L.Conv1D({n}, {k}, activation='{a}')",
    "L.Conv1D({n}, {k}, padding='causal')",
    "L.Dense({n}, activation='{a}')",
    "L.BatchNormalization()",
    "L.MaxPooling1D(2)",
    "L.AveragePooling1D(2)",
    "L.LSTM({n}, return_sequences=True)",
    "L.GRU({n}, return_sequences=True, unroll=True)",
    "L.SimpleRNN({n}, return_sequences=True)",
    "L.Bidirectional(L.LSTM({n}, return_sequences=True))",
    "L.TimeDistributed(L.Dense({n}))",
    "L.LayerNormalization()",
    "L.Permute((2, 1))",
)
VECTOR = (
    "L.Dense({n}, activation='{a}')",
    "L.Dense({n}, use_bias=False)",
    "L.Dense({n}, activation='{a}')",
    "L.BatchNormalization()",
    "L.ReLU()",
    "L.Dropout(0.5)",
    "L.Dense({n}, trainable=False)",
    "L.Embedding(10, {n})",
    "L.UnitNormalization()",
)
BLOCKS = (
    "x = x + x",
    "x = L.Add()([x, x])",
    "x = L.Multiply()([x, L.Activation('sigmoid')(x)])",
    "x = L.Concatenate()([x, L.ReLU()(x)])",
    "x = x * 0.5",
)
"""Statements between layers."""
SHAPES = {
    "image": ("(8, 8, 3)", "(9, 7, 1)", "(6, 6, 4)"),
    "sequence": ("(12, 6)", "(8, 3)"),
    "vector": ("(8,)", "(21,)"),
}
ENDS = {
    "image": ("L.GlobalAveragePooling2D()", "L.GlobalMaxPooling2D()", "L.Flatten()"),
    "sequence": ("L.GlobalAveragePooling1D()", "L.Flatten()"),
    "vector": (),
}
LOSSES = (
    *("'logits'", "'logits'", "'probabilities'", "'mse'", "'mse'"),
    *(f"lambda: keras().losses.{name}" for name in (
        "BinaryCrossentropy()", "BinaryCrossentropy(from_logits=True)", "CategoricalCrossentropy(from_logits=True)",
        "MeanAbsoluteError()", "Huber()", "Poisson()",
    )),
    *("lambda: (lambda y, p: keras().backend.mean(p) * 0)", "lambda: 1 / 0", "lambda: 'nonsense'"),
)  # fmt: skip
LABELS = (
    *("R.integers(0, K, N)", "R.integers(0, K, N)", "R.integers(0, 2, N)", "R.integers(0, 2, N) > 0"),
    *("np.eye(K, dtype='float32')[R.integers(0, K, N)]", "R.integers(0, 2, (N, K))", "R.integers(0, K, (N, 1))"),
    *("R.normal(size=(N, K)).astype('float32') * 20 + 50", "R.normal(size=N)", "x", "R.integers(0, K + 1, N)"),
    *("np.array(['a', 'b'])[R.integers(0, 2, N)]", "np.where(np.arange(N) == 3, np.nan, R.normal(size=N))"),
    *("np.zeros(N, 'int64')", "R.integers(-1, K, N)", "R.normal(size=(N, 3, 3))", "np.array([{}] * N)"),
)
METRICS = (
    *("None", "None", "None", "'top1'", "'binary'", "'auc'", "'r2'"),
    *("lambda outputs, y: float(np.mean(outputs))", "lambda outputs, y: outputs", "lambda outputs, y: float('nan')"),
    "lambda outputs, y: 1 / 0",
)
INPUTS = (
    *("R.normal(size=(N, *SHAPE))", "R.normal(size=(N, *SHAPE))", "R.normal(size=(N, *SHAPE)) * 100 + 30"),
    *("R.integers(0, 256, (N, *SHAPE)).astype('uint8')", "np.zeros((N, *SHAPE))", "R.normal(size=(N, *SHAPE)) * 0.01"),
    *("np.where(R.random((N, *SHAPE)) < 0.001, np.nan, 1.0)", "R.normal(size=(N, 5))"),
)

_ERROR = "lambda outputs, y: -float(np.mean(np.abs(outputs - y)))"
TASKS = (
    ("K", "'logits'", "R.integers(0, K, N)", "None"),
    ("K, activation='softmax'", "'probabilities'", "np.eye(K, dtype='float32')[R.integers(0, K, N)]", "'top1'"),
    ("1, activation='sigmoid'", "lambda: keras().losses.BinaryCrossentropy()", "R.integers(0, 2, N) > 0", "None"),
    ("1", "lambda: keras().losses.BinaryCrossentropy(from_logits=True)", "R.integers(0, 2, N)", "'binary'"),
    ("1", "'mse'", "R.normal(size=N) * 20 + 50", "None"),
    ("K", "'mse'", "R.normal(size=(N, K)).astype('float32')", "'r2'"),
    ("1", "lambda: keras().losses.Huber()", "R.normal(size=(N, 1))", _ERROR),
)  # fmt: skip
"""Outputs, loss, labels and metric that fit each other."""
OUTPUTS = tuple(
    f"{n}{last}" for n in ("K", "1", "SHAPE[-1]") for last in ("", ", activation='softmax'", ", activation='sigmoid'")
)
_ANY_TASK = st.tuples(*(st.sampled_from(choices) for choices in (OUTPUTS, LOSSES, LABELS, METRICS)))

FILE = """
from pathlib import Path

import numpy as np

from hil.harness.model import Dataset, FineTune, Model, Recipe

R, N, K, SHAPE = np.random.default_rng(0), {samples}, {classes}, {shape}
TUNE = FineTune(epochs=1, samples=48)
x = {inputs}
y = {labels}


def keras():
    import tf_keras

    return tf_keras


def build():
    L = keras().layers
    x = image = L.Input(SHAPE)
{layers}
    return keras().Model(image, x)


def load(split):
    return (x[:64], y[:64]) if split == "train" else (x[64:], y[64:])


model = Model(
    "drawn",
    build=build,
    loss={loss},
    metric={metric},
    data=Dataset(load, lambda: [Path(__file__)]),
    recipe=Recipe(
        batch_size=16, base=FineTune(epochs=1), calibration=16, clusters={clusters}, sparsity={sparsity},
        prune=TUNE, cluster=TUNE, sparse_cluster=TUNE, qat=TUNE, pqat=TUNE, cqat=TUNE, pcqat=TUNE,
    ),
)
"""


@dataclass(frozen=True)
class DrawnModel:
    """The text of a model file, and the leaves to walk."""

    text: str
    leaves: tuple[str, ...]


@st.composite
def drawn_models(draw: st.DrawFn) -> DrawnModel:
    """Draws a model; in seven of ten outputs, loss, labels and metric fit each other."""
    kind = draw(st.sampled_from(("image", "image", "sequence", "vector")))
    layers = {"image": IMAGE, "sequence": SEQUENCE, "vector": VECTOR}[kind]
    lines = [draw(_line(layers)) for _ in range(draw(st.integers(1, 4)))]
    ends = [f"x = {draw(st.sampled_from(ENDS[kind]))}(x)"] if ENDS[kind] and draw(st.integers(0, 9)) else []
    outputs, loss, labels, metric = draw(st.sampled_from(TASKS) if draw(st.integers(0, 9)) < 7 else _ANY_TASK)
    inputs = draw(st.sampled_from(INPUTS if draw(st.integers(0, 4)) == 0 else INPUTS[:1]))
    head = [f"x = L.Dense({outputs})(x)"]
    text = FILE.format(
        samples=SAMPLES,
        classes=draw(st.integers(2, 5)),
        shape=draw(st.sampled_from(SHAPES[kind])),
        inputs=inputs,
        labels=labels,
        loss=loss,
        metric=metric,
        layers="\n".join(f"    {line}" for line in [*lines, *ends, *head]),
        clusters=draw(st.sampled_from((4, 16))),
        sparsity=draw(st.sampled_from((0.3, 0.5, 0.9))),
    )
    return DrawnModel(text, tuple(draw(st.lists(st.sampled_from(LEAVES), min_size=1, max_size=2, unique=True))))


def _line(layers: tuple[str, ...]) -> st.SearchStrategy[str]:
    layer = st.builds(
        lambda text, n, k, a: f"x = {text.format(n=n, k=k, a=a)}(x)",
        st.sampled_from(layers),
        st.sampled_from((1, 4, 8, 17)),
        st.sampled_from((1, 2, 3)),
        st.sampled_from(ACTIVATIONS),
    )
    return st.one_of(layer, layer, layer, layer, st.sampled_from(BLOCKS))
