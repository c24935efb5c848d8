"""The law of the CPU engine: on any graph, quantizer, fault and input it gives what the framework gives."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import fkeras
from fkeras.faults import FaultSet
from fkeras.frontends.qkeras.setup import qkeras, tensorflow
from fkeras.models import start_run

EXACT_KERNELS = [
    "quantized_bits(5,1,alpha=1)",
    "quantized_bits(4,0,1,alpha=1)",
    "quantized_bits(6,2,alpha='auto_po2')",
    "ternary(alpha=1)",
    "binary(alpha=1)",
]
EXACT_ACTIVATIONS = ["quantized_relu(4,1)", "quantized_bits(6,2,alpha=1)", "quantized_relu(3,2)"]
KERNELS = [
    "quantized_bits(5,1,alpha=1)",
    "quantized_bits(4,0,1,alpha=1)",
    "quantized_bits(6,2,alpha='auto_po2')",
    "ternary(alpha=1)",
    "binary(alpha=1)",
    "quantized_po2(4)",
    "quantized_po2(4,0.5)",
    "quantized_po2(4,quadratic_approximation=1)",
    "quantized_bits(5,0,alpha=0.37)",
    "quantized_bits(4,0,alpha='auto')",
    "quantized_bits(3,1,keep_negative=0,alpha=1)",
]
ACTIVATIONS = [
    *("quantized_relu(4,1)", "quantized_bits(6,2,alpha=1)", "quantized_relu(3,2)", "quantized_tanh(5)", "relu"),
    *("quantized_relu(5,1,negative_slope=0.25)", "quantized_hswish(6,2)", "hard_sigmoid", "hard_tanh"),
]
BIASES = [None, "quantized_bits(6,2,alpha=1)"]


def random_network(seed: int):
    """A small random graph: two branches that may rejoin, a nested model, a float tail or none; and its inputs."""
    keras, q = tensorflow().keras, qkeras()
    generator = np.random.default_rng(seed)

    def one_of(choices):
        return choices[generator.integers(len(choices))]

    exact = generator.random() < 0.7  # most networks are the kind that the shortcuts are for
    kernels, activations = (EXACT_KERNELS, EXACT_ACTIVATIONS) if exact else (KERNELS, ACTIVATIONS)

    def maybe() -> bool:
        return bool(generator.integers(2))

    def activate(x):
        kind = one_of(activations)
        return (keras.layers.Activation("relu") if kind == "relu" else q.QActivation(kind))(x)

    def conv(x, filters):
        options = {"bias_quantizer": one_of(BIASES), "padding": one_of(["same", "valid"]), "strides": one_of([1, 2])}
        if maybe():
            return q.QConv2D(filters, int(generator.integers(1, 4)), kernel_quantizer=one_of(kernels), **options)(x)
        return q.QDepthwiseConv2D(2, depthwise_quantizer=one_of(kernels), **options)(x)

    x = inputs = keras.Input((6, 6, 2))
    if maybe():
        x = q.QActivation("quantized_bits(5,1,alpha=1)")(x)
    x = activate(conv(x, 3))
    if maybe():
        same = q.QConv2D(int(x.shape[-1]), 1, kernel_quantizer=one_of(kernels), bias_quantizer=one_of(BIASES))(x)
        x = keras.layers.Add()([activate(same), x])
    elif maybe():
        x = activate(conv(x, 4))
    if generator.random() < 0.3:
        x = keras.layers.MaxPooling2D(2, padding="same")(x)
    x = keras.layers.Flatten()(x)
    x = q.QDense(4, kernel_quantizer=one_of(kernels), bias_quantizer=one_of(BIASES), name="dense")(x)
    tail = one_of(["softmax", "transposed", "none"])
    if tail == "softmax":
        outputs = keras.layers.Activation("softmax")(x)
    elif tail == "transposed":
        x = keras.layers.Reshape((2, 2, 1))(activate(x))
        x = keras.layers.Conv2DTranspose(2, 3, strides=2, padding="same", activation="relu")(x)
        outputs = keras.layers.Flatten()(keras.layers.Conv2DTranspose(1, 3, padding="same")(x))
    else:
        outputs = activate(x)
    model = keras.Model(inputs, outputs)
    model.set_weights([generator.normal(0, 0.7, w.shape).astype(w.dtype) for w in model.get_weights()])
    if maybe():
        outer = keras.Input((6, 6, 2))
        model = keras.Model(outer, model(outer))
    x = generator.normal(0, 1, (5, 6, 6, 2)).astype("float32")
    return model, np.round(x * 16) / 16 if maybe() else x, generator


def agree(model, x, targets, metrics, bits, space=None, engine="cpu") -> list[int]:
    """Compare an engine's numbers with the framework's; the tensors whose flips it measures by channel.

    Values are the means of equal scores in another order; behind a float tail the scores themselves may differ by 1e-6.
    """
    used = fkeras.bit_space(model) if space is None else space
    runs = {name: start_run(model, (x, targets), metrics, used, name) for name in (engine, "framework")}
    ours, framework = (run.flips(bits) for run in runs.values())
    for name in metrics:
        np.testing.assert_allclose(ours[name].values, framework[name].values, rtol=1e-6, atol=1e-12)
        np.testing.assert_array_equal(ours[name].undefined, framework[name].undefined)
        if metrics[name].name != "mean_squared_error":  # whose smallest changes are roundings behind a float tail
            np.testing.assert_array_equal(ours[name].harmed, framework[name].harmed)
    sets = [FaultSet(part) for part in np.array_split(bits, 6)]
    several = [run.fault_sets(sets) for run in runs.values()]
    for name in metrics:
        np.testing.assert_allclose(several[0][name].values, several[1][name].values, rtol=1e-6, atol=1e-12)
        np.testing.assert_array_equal(several[0][name].undefined, several[1][name].undefined)
    return by_channel(runs[engine])


def by_channel(run) -> list[int]:
    """The tensors whose flips are measured by channel."""
    worker_of = getattr(run, "worker", lambda number: None)
    return [number for number in range(len(run.space.tensors)) if worker_of(number) is not None]


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_cpu_and_reference_agree_on_random_graphs(seed: int) -> None:
    model, x, generator = random_network(seed)
    try:
        space = fkeras.bit_space(model, biases=True)
    except fkeras.UnsupportedError:
        reject()  # a quantizer that emits what its bits cannot hold is refused by name, tested elsewhere
    n_outputs = model.output_shape[-1]
    bits = generator.choice(len(space), min(60, len(space)), replace=False)
    agree(model, x, generator.normal(0, 1, (5, n_outputs)), {"mse": fkeras.metrics.mean_squared_error()}, bits, space)
    by_class = {"accuracy": fkeras.metrics.accuracy(), "wrong": fkeras.metrics.mispredictions()}
    agree(model, x, generator.integers(0, n_outputs, 5), by_class, bits, space)


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
@pytest.mark.usefixtures("jax")
@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_gpu_and_reference_agree_on_random_graphs(seed: int) -> None:
    model, x, generator = random_network(seed)
    try:
        space = fkeras.bit_space(model, biases=True)
    except fkeras.UnsupportedError:
        reject()
    bits = generator.choice(len(space), min(30, len(space)), replace=False)
    n_outputs = model.output_shape[-1]
    numbers = generator.normal(0, 1, (5, n_outputs)), {"mse": fkeras.metrics.mean_squared_error()}
    classes = generator.integers(0, n_outputs, 5), {"right": fkeras.metrics.accuracy()}
    for targets, metrics in (numbers, classes):
        if start_run(model, (x, targets), metrics, space, "gpu").engine != "gpu":
            reject()  # others serve it
        agree(model, x, targets, metrics, bits, space, "gpu")


INPUTS, KERNEL, BIAS = "quantized_bits(6,1,alpha=1)", "quantized_bits(5,1,alpha=1)", "quantized_bits(6,1,alpha=1)"
MSE = {"mse": fkeras.metrics.mean_squared_error()}


def filled(model, seed: int = 1):
    """The model with random weights."""
    generator = np.random.default_rng(seed)
    model.set_weights([generator.normal(0, 0.7, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def every_bit(model, n: int = 120):
    """Some bits of a model."""
    n_bits = len(fkeras.bit_space(model))
    return np.random.default_rng(2).choice(n_bits, min(n, n_bits), replace=False)


def maps(name: str, x):
    """Layers of one kind, with whatever stands between them."""
    keras, q = tensorflow().keras, qkeras()

    def relu(x):
        return q.QActivation("quantized_relu(4,1)")(x)

    def conv(kind, *arguments, **options):
        return getattr(q, kind)(*arguments, kernel_quantizer=KERNEL, bias_quantizer=BIAS, **options)

    if name == "causal":
        x = relu(conv("QConv1D", 4, 3, padding="causal", dilation_rate=2)(x))
        return conv("QConv1D", 4, 3, padding="same", strides=2)(x)
    if name == "dilated":
        return q.QDense(3, kernel_quantizer=KERNEL)(
            relu(conv("QConv2D", 3, (3, 2), padding="same", dilation_rate=2)(x))
        )
    if name == "dense on a map":
        return q.QDense(3, kernel_quantizer="quantized_bits(5,1,alpha='auto_po2')")(relu(conv("QDense", 4)(x)))
    if name == "unequal strides":
        x = relu(conv("QConv2D", 3, (2, 3), strides=(3, 1))(x))
    elif name == "windows apart":
        x = relu(conv("QConv2D", 3, 2, strides=4, padding="same")(x))
    elif name == "other order":
        x = relu(conv("QConv2D", 3, 2)(x))
        return q.QDense(3, kernel_quantizer=KERNEL)(keras.layers.Flatten(data_format="channels_first")(x))
    return q.QDense(3, kernel_quantizer=KERNEL)(keras.layers.Flatten()(x))


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("causal", (9, 3)),
        ("dilated", (7, 8, 2)),
        ("dense on a map", (3, 4, 5)),
        ("unequal strides", (8, 7, 2)),
        ("windows apart", (9, 9, 2)),
        ("other order", (4, 4, 2)),
    ],
)
def test_every_geometry(name: str, shape: tuple[int, ...]) -> None:
    keras, q = tensorflow().keras, qkeras()
    inputs = keras.Input(shape)
    model = filled(keras.Model(inputs, maps(name, q.QActivation(INPUTS)(inputs))))
    generator = np.random.default_rng(0)
    x = generator.normal(size=(12, *shape)).astype("float32")
    targets = generator.normal(size=(12, *model.output_shape[1:]))
    assert agree(model, x, targets, MSE, every_bit(model)) == [0, 1]


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
def test_a_nested_model_called_with_inputs_by_name() -> None:
    keras, q = tensorflow().keras, qkeras()
    first, second = keras.Input((4,), name="z"), keras.Input((4,), name="a")
    dense = [q.QDense(3, kernel_quantizer=KERNEL, use_bias=False)(x) for x in (first, second)]
    inner = keras.Model([first, second], q.QActivation("quantized_bits(7,3,alpha=1)")(keras.layers.Add()(dense)))
    outer = [keras.Input((4,)) for _ in range(2)]
    called = inner({"a": q.QActivation(INPUTS)(outer[1]), "z": q.QActivation(INPUTS)(outer[0])})
    model = filled(keras.Model(outer, called))
    generator = np.random.default_rng(0)
    x = [generator.normal(size=(20, 4)).astype("float32") for _ in range(2)]
    assert agree(model, x, generator.normal(size=(20, 3)), MSE, every_bit(model)) == [0, 1]


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
def test_a_function_is_known_by_what_it_is_not_by_its_name() -> None:
    tf, q = tensorflow(), qkeras()

    def relu(x):
        return tf.nn.leaky_relu(x, 0.1)

    inputs = tf.keras.Input((4,))
    x = q.QDense(3, kernel_quantizer=KERNEL, use_bias=False)(q.QActivation(INPUTS)(inputs))
    generator = np.random.default_rng(0)
    data = generator.normal(size=(20, 4)).astype("float32"), generator.normal(size=(20, 3))
    for function, served in ((relu, []), (tf.nn.relu, [0]), ("relu", [0])):
        model = filled(tf.keras.Model(inputs, tf.keras.layers.Activation(function)(x)))
        assert agree(model, *data, MSE, every_bit(model)) == served
    # A quantizer object as the last activation has no name, and is no softmax.
    model = filled(tf.keras.Model(inputs, tf.keras.layers.Activation(q.quantized_relu(4, 2))(x)))
    classes = generator.integers(0, 3, 20)
    assert agree(model, data[0], classes, {"accuracy": fkeras.metrics.accuracy()}, every_bit(model)) == [0]


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
def test_a_quantizer_that_rounds_float_sums_is_left_to_the_framework() -> None:
    # A matrix product of one row has other last bits than the same row among others.
    keras, q = tensorflow().keras, qkeras()
    inputs = keras.Input((768,))
    x = q.QActivation("quantized_bits(8,7,alpha=1)")(keras.layers.Dense(16, use_bias=False, name="float")(inputs))
    x = q.QDense(3, kernel_quantizer=KERNEL, use_bias=False)(x)
    model = filled(keras.Model(inputs, q.QActivation("quantized_bits(8,6,alpha=1)")(x)))
    generator = np.random.default_rng(0)
    model.get_layer("float").set_weights([(generator.integers(-20, 21, (768, 16)) * 0.1).astype("float32")])
    x = generator.integers(-3, 4, (1025, 768)).astype("float32")
    assert agree(model, x, generator.normal(size=(1025, 3)), MSE, every_bit(model, 20)) == []


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
def test_classes_that_a_rounding_may_swap_are_the_framework_s_to_decide() -> None:
    keras, q = tensorflow().keras, qkeras()
    inputs = keras.Input((6,))
    x = q.QActivation("quantized_relu(4,1)")(
        q.QDense(16, kernel_quantizer=KERNEL, use_bias=False)(q.QActivation(INPUTS)(inputs))
    )
    x = keras.layers.Dense(4, name="head", use_bias=False)(keras.layers.Dense(64, activation="relu")(x))
    model = filled(keras.Model(inputs, keras.layers.Activation("softmax")(x)))
    head = np.random.default_rng(5).normal(size=(64, 4)).astype("float32")
    head[:, 1] = head[:, 0]
    head[0, 1] = np.nextafter(head[0, 0], np.float32(9))
    model.get_layer("head").set_weights([head])
    x = np.random.default_rng(0).normal(size=(300, 6)).astype("float32")
    metrics = {"wrong": fkeras.metrics.mispredictions()}
    assert agree(model, x, np.zeros(300, int), metrics, every_bit(model)) == []


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
@pytest.mark.parametrize("engine", ["cpu", "framework"])
def test_a_space_of_other_weights_is_refused(engine: str) -> None:
    keras, q = tensorflow().keras, qkeras()
    inputs = keras.Input((6,))
    x = q.QDense(3, kernel_quantizer=KERNEL, use_bias=False, name="d")(q.QActivation(INPUTS)(inputs))
    model = filled(keras.Model(inputs, x))
    space = fkeras.bit_space(model)
    data = np.ones((4, 6), np.float32), np.ones((4, 3))
    model.set_weights([w + 0.5 for w in model.get_weights()])
    with pytest.raises(fkeras.InputError, match=r"read from other weights .*'d/kernel' differs.*read it again with"):
        start_run(model, data, MSE, space, engine)
    model.set_weights([w - 0.5 for w in model.get_weights()])
    start_run(model, data, MSE, space, engine)


def small_network(tail: bool):
    keras, q = tensorflow().keras, qkeras()
    tensorflow().keras.utils.set_random_seed(5)
    inputs = keras.Input((5, 5, 1))
    x = q.QActivation("quantized_bits(6,1,alpha=1)")(inputs)
    x = q.QConv2D(3, 3, kernel_quantizer="quantized_bits(5,1,alpha=1)", bias_quantizer="quantized_bits(6,1,alpha=1)")(x)
    x = q.QActivation("quantized_relu(4,1)")(x)
    x = q.QDense(3, kernel_quantizer="quantized_bits(4,1,alpha=1)", bias_quantizer="quantized_bits(6,1,alpha=1)")(
        keras.layers.Flatten()(x)
    )
    return keras.Model(
        inputs, keras.layers.Activation("softmax")(x) if tail else q.QActivation("quantized_bits(7,2,alpha=1)")(x)
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).uniform(-1, 1, (40, 5, 5, 1)).astype("float32")


def test_quantized_outputs_agree_without_tolerance(images) -> None:
    model = small_network(tail=False)
    space = fkeras.bit_space(model)
    seen = {}

    def outputs_as_score(engine):
        kept = []
        metric = fkeras.metrics.dataset_metric(
            lambda y, out: kept.append(np.array(out)) or float(np.sum(out)), "total", "lower"
        )
        start_run(model, (images, np.zeros(40)), {"total": metric}, space, engine).flips(np.arange(len(space)))
        return kept

    for engine in ("cpu", "framework"):
        seen[engine] = outputs_as_score(engine)[-len(space) :]
    # The CPU engine visits faults by channel: compare as multisets of whole output arrays.
    cpu, framework = (sorted(part.tobytes() for part in seen[engine]) for engine in ("cpu", "framework"))
    assert cpu == framework


def test_every_tensor_of_a_plain_network_is_served_by_shortcuts(images) -> None:
    model = small_network(tail=True)
    run = start_run(model, (images, np.zeros(40, int)), {"accuracy": fkeras.metrics.accuracy()}, engine="cpu")
    assert all(run.worker(tensor) for tensor in (0, 1))


def test_changes_flow_through_the_exact_layer_behind(images) -> None:
    model = small_network(tail=False)
    data = images, np.random.default_rng(2).normal(0, 1, (40, 3))
    runs = {
        engine: start_run(model, data, {"mse": fkeras.metrics.mean_squared_error()}, engine=engine)
        for engine in ("cpu", "framework")
    }
    assert layers_behind(runs["cpu"], 0) == 1, "the convolution is followed by an exact dense layer"
    bits = np.arange(len(runs["cpu"].space))
    np.testing.assert_allclose(
        runs["cpu"].flips(bits)["mse"].values, runs["framework"].flips(bits)["mse"].values, rtol=1e-12
    )


def layers_behind(run, tensor: int) -> int:
    """Exact layers through which changes of a tensor flow."""
    row, changes = run.plan.flow(run.worker(tensor).site)
    return len(row.links) - 1 - changes.number


def squared_accuracy(images, engine: str) -> fkeras.Oracle:
    """The oracle of a small network with a metric of the whole data set."""
    targets = np.random.default_rng(0).integers(0, 3, 40)
    metric = fkeras.metrics.dataset_metric(lambda y, p: float(np.mean(p.argmax(1) == y) ** 2), "squared", "higher")
    return fkeras.oracle(small_network(tail=True), (images, targets), metric=metric, engine=engine)


@pytest.fixture(scope="module")
def framework_s_squared_accuracy(images) -> fkeras.Oracle:
    return squared_accuracy(images, "framework")


def test_data_set_metrics_agree(images, framework_s_squared_accuracy) -> None:
    cpu = squared_accuracy(images, "cpu")
    np.testing.assert_array_equal(cpu.values, framework_s_squared_accuracy.values)
    np.testing.assert_array_equal(cpu.harmed, framework_s_squared_accuracy.harmed)


def test_a_shared_layer_is_left_to_the_framework(images) -> None:
    keras, q = tensorflow().keras, qkeras()
    shared = q.QDense(4, kernel_quantizer="quantized_bits(4,1,alpha=1)")
    inputs = keras.Input((4,))
    hidden = q.QActivation("quantized_relu(4,1)")(shared(inputs))
    model = keras.Model(inputs, shared(hidden))
    data = np.random.default_rng(1).integers(-4, 4, (9, 4)).astype("float32"), np.zeros((9, 4))
    values = [
        fkeras.oracle(model, data, metric="mean_squared_error", engine=engine).values for engine in ("cpu", "framework")
    ]
    np.testing.assert_array_equal(*values)


def test_sensitive_bits_are_the_oracles_sensitive_bits(images) -> None:
    model = small_network(tail=True)
    targets = np.random.default_rng(0).integers(0, 3, 40)
    bits = np.random.default_rng(1).permutation(len(fkeras.bit_space(model)))
    oracle = fkeras.oracle(model, (images, targets), metric="mispredictions", bits=bits, engine="framework")
    assert 0 < oracle.sensitive.sum() < len(bits)
    np.testing.assert_array_equal(fkeras.sensitive_bits(model, (images, targets), bits=bits), oracle.sensitive)


@pytest.mark.parametrize("column", [False, True])
def test_a_single_sigmoid_is_class_1_above_a_half_in_every_engine(column: bool) -> None:
    """Most sums are small whole numbers, so that many scores are 0.5 exactly: class 0."""
    keras, q = tensorflow().keras, qkeras()
    inputs = keras.Input((4,))
    hidden = q.QActivation("quantized_relu(3,3)")(
        q.QDense(3, kernel_quantizer="ternary(alpha=1)", use_bias=False)(inputs)
    )
    logit = q.QDense(1, kernel_quantizer="ternary(alpha=1)", use_bias=False)(hidden)
    model = keras.Model(inputs, keras.layers.Activation("sigmoid")(logit))
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(0, 1, weight.shape) for weight in model.get_weights()])
    x = rng.integers(-2, 3, (40, 4)).astype("float32")
    outputs = model.predict(x, verbose=0)
    assert 0 < (outputs == 0.5).sum() < 40
    targets = rng.integers(0, 2, (40, 1) if column else 40)
    for metric in ("accuracy", "mispredictions"):
        cpu, framework = (
            fkeras.oracle(model, (x, targets), metric=metric, engine=engine) for engine in ("cpu", "framework")
        )
        right = (outputs[:, 0] > 0.5) == targets.reshape(-1)
        assert cpu.golden == framework.golden == (right if metric == "accuracy" else ~right).mean()
        np.testing.assert_array_equal(cpu.values, framework.values)
        np.testing.assert_array_equal(cpu.harmed, framework.harmed)
    assert 0 < framework.sensitive.sum() < len(framework.sensitive)
    np.testing.assert_array_equal(fkeras.sensitive_bits(model, (x, targets)), framework.sensitive)


@pytest.mark.parametrize(
    ("bound", "size"),
    [("worker.MOST_CELLS", 100), ("activations.HELD_BYTES", 2000)],
    ids=["blocks", "chunks"],
)
def test_data_set_metrics_agree_however_the_memory_is_bounded(
    images, framework_s_squared_accuracy, monkeypatch, bound: str, size: int
) -> None:
    monkeypatch.setattr(f"fkeras.engines.cpu.{bound}", size)
    cpu = squared_accuracy(images, "cpu")
    np.testing.assert_array_equal(cpu.values, framework_s_squared_accuracy.values)
    np.testing.assert_array_equal(cpu.harmed, framework_s_squared_accuracy.harmed)


def deep_network():
    keras, q = tensorflow().keras, qkeras()
    tensorflow().keras.utils.set_random_seed(8)
    options = {"kernel_quantizer": "quantized_bits(5,1,alpha=1)", "bias_quantizer": "quantized_bits(6,1,alpha=1)"}
    x = inputs = keras.Input((7, 6, 1))
    x = q.QActivation("quantized_bits(6,1,alpha=1)")(x)
    x = q.QActivation("quantized_relu(4,1)")(q.QConv2D(3, 3, padding="same", **options)(x))
    x = q.QActivation("quantized_bits(5,1,alpha=1)")(q.QConv2D(4, 2, strides=2, padding="same", **options)(x))
    x = q.QActivation("quantized_relu(4,1)")(q.QConv2D(2, 3, padding="same", **options)(x))
    x = q.QDense(4, kernel_quantizer="quantized_bits(4,1,alpha=1)")(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Activation("softmax")(x))


def test_changes_flow_through_all_exact_layers_and_the_winning_class_counts() -> None:
    model, rng = deep_network(), np.random.default_rng(1)
    data = rng.uniform(-1, 1, (30, 7, 6, 1)).astype("float32"), rng.integers(0, 4, 30)
    metrics = {"wrong": fkeras.metrics.mispredictions(), "right": fkeras.metrics.accuracy()}
    runs = {engine: start_run(model, data, metrics, engine=engine) for engine in ("cpu", "framework")}
    assert [layers_behind(runs["cpu"], tensor) for tensor in range(4)] == [3, 2, 1, 0]
    assert all(runs["cpu"].worker(tensor)._outcomes._classes is not None for tensor in range(4))
    bits = rng.choice(len(runs["cpu"].space), 300, replace=False)
    cpu, framework = (runs[engine].flips(bits) for engine in ("cpu", "framework"))
    for name in metrics:
        np.testing.assert_array_equal(cpu[name].values, framework[name].values)
        np.testing.assert_array_equal(cpu[name].harmed, framework[name].harmed)
    assert framework["wrong"].harmed.sum() > 0


def test_tensor_float_32_is_off_while_a_model_computes_and_the_users_setting_stays() -> None:
    from fkeras.frontends.qkeras.setup import whole_float32

    config = tensorflow().config.experimental
    before = config.tensor_float_32_execution_enabled()
    for setting in (True, False):
        config.enable_tensor_float_32_execution(setting)
        with whole_float32():
            assert not config.tensor_float_32_execution_enabled()
        assert config.tensor_float_32_execution_enabled() is setting
    config.enable_tensor_float_32_execution(before)


def test_no_call_of_the_framework_prints_what_it_is_given(images) -> None:
    """TensorFlow does where it tries another way to call: longer than a small model computes."""

    def printed(number: float) -> str:
        raise AssertionError("numbers are printed at every call")

    data = images, np.zeros((40, 3))
    run = start_run(small_network(tail=True), data, MSE, engine="framework")
    with np.printoptions(formatter={"all": printed}):
        run.flips(np.arange(3))


def network_with_batch_norms():
    keras, q = tensorflow().keras, qkeras()
    tensorflow().keras.utils.set_random_seed(8)
    x = inputs = keras.Input((7, 6, 1))
    for filters in (3, 2):
        x = keras.layers.BatchNormalization()(q.QConv2D(filters, 3, padding="same", kernel_quantizer=KERNEL)(x))
        x = keras.layers.AveragePooling2D(2, padding="same")(q.QActivation("quantized_relu(4,1)")(x))
    x = q.QDense(4, kernel_quantizer=KERNEL)(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Activation("softmax")(x))


@pytest.mark.parametrize("held_bytes", [2**20, 10_000, 0], ids=["all samples held", "some", "none"])
def test_what_lies_behind_a_tensor_gives_the_frameworks_numbers_to_the_last_bit(monkeypatch, held_bytes: int) -> None:
    monkeypatch.setattr("fkeras.frontends.qkeras.tail.HELD_BYTES", held_bytes)
    monkeypatch.setattr("fkeras.frontends.qkeras.forward.MOST_SAMPLES", 16)
    model = network_with_batch_norms()
    generator = np.random.default_rng(4)
    data = generator.normal(0, 1, (40, 7, 6, 1)).astype("float32"), generator.normal(0, 1, (40, 4))
    cpu, framework = (start_run(model, data, MSE, engine=engine) for engine in ("cpu", "framework"))
    assert by_channel(cpu) == [], "no shortcut serves floats"
    bits = every_bit(model)
    some, others = cpu.flips(bits)["mse"], framework.flips(bits)["mse"]
    np.testing.assert_array_equal(some.values, others.values)
    np.testing.assert_array_equal(some.harmed, others.harmed)
    assert (some.values != cpu.golden["mse"].value).any()


def test_the_engine_s_name_says_what_does_not_fit_and_old_names_are_understood() -> None:
    model, x = network_with_batch_norms(), np.random.default_rng(4).normal(0, 1, (10, 7, 6, 1)).astype("float32")
    data = x, np.zeros((10, 4))
    served = r"framework \('q_activation.*' rounds sums that are not exact in float32\)"
    for engine, name in (("auto", served), ("fast", served), ("reference", "framework")):
        assert re.fullmatch(name, start_run(model, data, MSE, engine=engine).engine)
    layer = tensorflow().keras.layers.Lambda(lambda y: y * 2, name="twice")
    lambdas = tensorflow().keras.Sequential([model, layer])
    name = start_run(lambdas, data, MSE, engine="cpu").engine
    assert name.startswith("framework (layer 'twice'"), name


def test_flips_of_the_last_layer_run_no_layer_before_it(monkeypatch) -> None:
    model = network_with_batch_norms()
    x = np.random.default_rng(4).normal(0, 1, (40, 7, 6, 1)).astype("float32")
    run = start_run(model, (x, np.zeros((40, 4))), MSE, engine="cpu")
    first = int(run.space.offsets[2])
    run.flips(np.arange(first, first + 5))
    whole_passes = []
    monkeypatch.setattr(run._whole.forward, "_function", lambda *arguments: whole_passes.append(arguments))
    run.flips(np.arange(first + 5, first + 20))
    assert not whole_passes
    needed, waiting = set(), [output.op for output in run._whole.forward.behind(2)._after._function.outputs]
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting += [tensor.op for tensor in operation.inputs]
    kinds = {operation.type for operation in needed}
    assert "MatMul" in kinds
    assert "Conv2D" not in kinds


def test_a_tail_that_gives_other_bits_is_not_used(monkeypatch) -> None:
    from fkeras.frontends.qkeras.forward import Behind

    call = Behind.__call__
    monkeypatch.setattr(Behind, "__call__", lambda self, *given: tuple(part + 1e-7 for part in call(self, *given)))
    model = network_with_batch_norms()
    x = np.random.default_rng(4).normal(0, 1, (40, 7, 6, 1)).astype("float32")
    runs = [start_run(model, (x, np.zeros((40, 4))), MSE, engine=engine) for engine in ("cpu", "framework")]
    some, others = (run.flips(np.arange(8))["mse"].values for run in runs)
    np.testing.assert_array_equal(some, others)
