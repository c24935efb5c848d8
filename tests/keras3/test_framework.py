"""Keras 3 itself as the engine and as the view that users call: nothing of the model is touched, whatever is faulty."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkeras
from fkeras.errors import FkerasError, IdentityError, InputError, ModelError, UnsupportedError
from fkeras.models import start_run
from fkeras.models.kinds import model_of


@pytest.fixture(scope="session")
def trained(keras3_data: Any, hgq: Any) -> Any:
    """A trained model by name, with its data and truth."""
    models: dict[str, Any] = {}

    def load(name: str) -> Any:
        if name not in models:
            model = fkeras.load_model(keras3_data / "models" / f"{name}.keras")
            with np.load(keras3_data / f"{name}.npz") as truth:
                held = dict(truth)
            x = (held["x16"] / np.float32(16)).reshape(len(held["x16"]), *model.input_shape[1:])
            models[name] = model, x, held
        return models[name]

    return load


@contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Within the block a model may be asked whatever it is: afterwards it is what it was, bit for bit."""

    def state() -> list[Any]:
        quantizers = [
            value for layer in model._flatten_layers() for name, value in sorted(vars(layer).items())
            if name in ("_kq", "_bq") or name.endswith("quantizer_internal")
        ]  # fmt: skip
        return [*quantizers, *(np.asarray(variable).tobytes() for variable in model.variables)]

    before = state()
    yield
    after = state()
    assert len(before) == len(after)
    assert all(a is b or (isinstance(a, bytes) and a == b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ["hgq_mlp", "hgq_cnn", "hgq_bn"])
@pytest.mark.parametrize(("memory", "flips"), [("quantizer", "flip"), ("hls4ml", "uni_flip")])
def test_the_framework_gives_the_measured_flips(trained: Any, name: str, memory: Any, flips: str) -> None:
    model, x, truth = trained(name)
    bits = truth[f"{flips}_bit"].astype(np.int64)[::4]
    model.predict(x[:32], verbose=0)  # a graph that exists already
    with untouched(model):
        oracle = fkeras.oracle(
            model, (x, truth["golden"]), metric="mean_squared_error", bits=bits, engine="framework",
            space=fkeras.bit_space(model, memory=memory),
        )  # fmt: skip
    assert oracle.golden == 0
    np.testing.assert_allclose(oracle.values, truth[f"{flips}_mse"][::4], rtol=1e-12)


def little(keras: Any, hgq: Any, *others: Any, seed: int = 0) -> Any:
    model = keras.Sequential(
        [keras.Input((4,)), hgq.QDense(5, name="d", bq_conf=None), *others, keras.layers.Dense(3, name="f")]
    )
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if variable.path.rpartition("/")[2] in ("kernel", "bias"):
            variable.assign(generator.normal(0, 0.6, variable.shape))
    return model


def samples(n: int = 40) -> Any:
    generator = np.random.default_rng(1)
    return generator.integers(-8, 8, (n, 4)).astype(np.float32) / 4, np.arange(n) % 3


@pytest.mark.parametrize("coverage", [{}, {"biases": True}, {"memory": "hls4ml"}, {"words": "float32", "biases": True}])
def test_it_gives_what_the_cpu_engine_gives(keras: Any, hgq: Any, coverage: Any) -> None:
    model, (x, _) = little(keras, hgq), samples()
    y = np.asarray(model(x))
    space = fkeras.bit_space(model, **coverage)
    bits = np.random.default_rng(2).choice(len(space), 60, replace=False)
    with untouched(model):
        fast, judge = (
            fkeras.oracle(model, (x, y), metric="mean_squared_error", bits=bits, space=space, engine=engine)
            for engine in ("auto", "framework")
        )
    assert (fast.engine, judge.engine) == ("cpu", "framework")
    finite = np.isfinite(judge.values) & (judge.values < 1e6)
    assert finite.mean() > 0.5
    np.testing.assert_array_equal(np.isfinite(fast.values), np.isfinite(judge.values))
    np.testing.assert_allclose(fast.values[finite], judge.values[finite], rtol=1e-5, atol=1e-9)
    together = fkeras.FaultSet(bits[:20])
    runs = [
        fkeras.campaign(model, (x, y), metric="mean_squared_error", faults=3, trials=5, space=space, engine=engine)
        for engine in ("auto", "framework")
    ]
    np.testing.assert_allclose(runs[0].values, runs[1].values, rtol=1e-6)
    with fkeras.injected(model, together, space) as faulty:
        assert not np.array_equal(faulty.predict(x), y)


def test_a_layer_that_no_network_describes_is_measured_and_named(keras: Any, hgq: Any) -> None:
    model, (x, y) = little(keras, hgq, keras.layers.Reshape((5, 1)), keras.layers.LSTM(3, name="memory")), samples()
    space = fkeras.bit_space(model)
    run = start_run(model, (x, y), {"accuracy": fkeras.metrics.resolve("accuracy")}, space)
    assert run.engine.startswith("framework (layer 'memory': ")
    with untouched(model):
        result = fkeras.campaign(model, (x, y), metric="accuracy", faults=8, trials=6, seed=2)
        judge = fkeras.campaign(model, (x, y), metric="accuracy", faults=8, trials=6, seed=2, engine="framework")
    assert result.setting.engine == run.engine
    np.testing.assert_array_equal(result.values, judge.values)


def unknown(keras: Any, hgq: Any) -> Any:
    """A model that no network describes."""
    return little(keras, hgq, keras.layers.Reshape((5, 1)), keras.layers.LSTM(3, name="memory"))


@pytest.mark.parametrize(
    "method", ["displacement", "loss_change", "gradient", "taylor", "hessian", "hessian_upstream", "adaptive", "msb"]
)
def test_a_model_that_no_network_describes_is_ranked(keras: Any, hgq: Any, measured: Any, method: str) -> None:
    """Against the measured damage of every flip, beside chance."""
    model, data, oracle = measured
    with untouched(model):
        quality, chance = (
            fkeras.ranking_quality(fkeras.rank(model, data, method=name, metric="mean_squared_error"), oracle).rho.best
            for name in (method, "random")
        )
    assert quality > 0.8 > 0.2 > abs(chance)


@pytest.fixture(scope="module")
def measured(keras: Any, hgq: Any) -> Any:
    keras.utils.set_random_seed(3)
    model, (x, _) = unknown(keras, hgq), samples()
    data = x, np.asarray(model(x))
    return model, data, fkeras.oracle(model, data, metric="mean_squared_error")


def test_a_loss_of_the_users_own(keras: Any, hgq: Any) -> None:
    """Named, as an object, and written with operations: of a network, and where no network describes the model."""
    for model in (little(keras, hgq), unknown(keras, hgq)):
        x, _ = samples()
        y = np.asarray(model(x))[::-1]
        losses = ("mse", keras.losses.MeanSquaredError(), lambda t, o: keras.ops.mean(keras.ops.square(t - o)), None)
        named, *others = (fkeras.rank(model, (x, y), method="loss_change", loss=loss).scores for loss in losses)
        for scores in others:
            np.testing.assert_allclose(scores, named, rtol=1e-3, atol=1e-9)


def test_slopes_of_other_backends_are_refused(keras: Any, hgq: Any, monkeypatch: Any) -> None:
    from fkeras.models.keras3 import Keras3Model

    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(UnsupportedError, match=r"slopes are computed by tensorflow or jax, and the backend .* torch"):
        Keras3Model(None).users_loss("mse", np.zeros((3, 1)))


def test_slopes_of_keras_are_those_of_the_network(keras: Any, hgq: Any) -> None:
    from fkeras.network.derivatives import NetworkDerivatives
    from fkeras.sensitivity.derivatives import LossDerivatives
    from fkeras.sensitivity.losses import SquaredError

    model, (x, _) = little(keras, hgq), samples()
    y, space = np.asarray(model(x))[::-1], fkeras.bit_space(model, words="float32", biases=True)
    subject = model_of(model).framework_subject(space, (x, y), start_run)  # type: ignore[attr-defined]
    network = fkeras.network.floats.storing(model_of(model).network(None), space)
    paths = [tensor.path for tensor in space.tensors]
    direction = np.random.default_rng(0).normal(size=sum(tensor.size for tensor in space.tensors))
    for ask in (lambda by: by.gradient(), lambda by: by.hessian_vector_product(direction)):
        theirs, mine = (
            ask(LossDerivatives(by, space, (x,), SquaredError(y)))
            for by in (NetworkDerivatives(network, paths), subject.differentiable)
        )
        assert np.abs(theirs).max() > 0.1
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


def test_float_words_where_no_network_describes_the_model(keras: Any, hgq: Any) -> None:
    """Those of cells and attention, too; where a network describes it the words are the same."""
    from fkeras.frontends.keras3.inventory import inventory_of, with_floats

    known = little(keras, hgq)
    for biases in (False, True):
        stored = with_floats(known, inventory_of(known), "float32").space(biases=biases)
        asked = fkeras.bit_space(known, biases=biases, words="float32")
        assert (stored.content_digest, stored.uncovered) == (asked.content_digest, asked.uncovered)
    x = inputs = keras.Input((6, 4))
    x = keras.layers.MultiHeadAttention(2, 3, name="y")(x, x)
    model = keras.Model(inputs, keras.layers.LSTM(3, name="memory")(x))
    data = np.random.default_rng(1).normal(size=(20, 6, 4)).astype(np.float32)
    data = data, np.asarray(model(data))
    space = fkeras.bit_space(model, words="float32")
    assert [tensor.path for tensor in space.tensors] == [
        *(f"y/{name}/kernel" for name in ("query", "key", "value", "attention_output")),
        "memory/lstm_cell/kernel", "memory/lstm_cell/recurrent_kernel",
    ]  # fmt: skip
    bit = space.index("memory/lstm_cell/recurrent_kernel[1,2]:8")
    oracle = fkeras.oracle(model, data, metric="mean_squared_error", space=space, bits=[bit])
    place = space.locate(np.array([bit]))
    tensor, variable = space.tensors[-1], model.get_layer("memory").cell.recurrent_kernel
    faulty = np.array(variable)
    faulty[1, 2] = tensor.values_of(tensor.words[place.element] ^ place.mask, place.element)[0]
    assert faulty[1, 2] in (2 * np.asarray(variable)[1, 2], np.asarray(variable)[1, 2] / 2)  # the exponent's last bit
    variable.assign(faulty)
    expected = np.square(np.asarray(model(data[0]), np.float64) - data[1]).mean()
    np.testing.assert_allclose(oracle.values, [expected], rtol=1e-4)


def attention(keras: Any, hgq: Any) -> Any:
    x = inputs = keras.Input((5, 4))
    x = hgq.QMultiHeadAttention(2, 3, name="mha")(x, x)
    return keras.Model(inputs, hgq.QDense(3, name="last", use_bias=False)(keras.layers.Flatten()(x)))


def recurrent(keras: Any, hgq: Any) -> Any:
    layers = [hgq.QGRU(4, name="gru", return_sequences=True), hgq.QSimpleRNN(3, name="rnn", use_bias=False)]
    return keras.Sequential([keras.Input((5, 4)), *layers])


def wrapped(keras: Any, hgq: Any) -> Any:
    class Own(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.inner = hgq.QDense(4, name="inner")

        def call(self, x: Any) -> Any:
            return self.inner(x) + x

    within = keras.layers.TimeDistributed(hgq.QDense(4, name="dense"), name="steps")
    return keras.Sequential(
        [keras.Input((5, 4)), within, keras.layers.Flatten(), hgq.QDense(4, name="d"), Own(name="o")]
    )


WITHIN = {
    attention: [
        *("mha/query/kernel", "mha/query/bias", "mha/key/kernel", "mha/value/kernel", "mha/value/bias"),
        *("mha/attention_output/kernel", "mha/attention_output/bias", "last/kernel"),
    ],
    recurrent: [
        *(f"gru/qgru_cell/{name}" for name in ("kernel", "recurrent_kernel", "bias")),
        *(f"rnn/simple_rnn_cell/{name}" for name in ("kernel", "recurrent_kernel")),
    ],
    wrapped: ["steps/dense/kernel", "steps/dense/bias", "d/kernel", "d/bias", "o/inner/kernel", "o/inner/bias"],
}


@pytest.mark.parametrize("build", WITHIN)
def test_quantized_layers_within_others(keras: Any, hgq: Any, build: Any) -> None:
    keras.utils.set_random_seed(2)
    runpy.run_path(str(Path(__file__).with_name("within.py")))["assert_covered"](build(keras, hgq), WITHIN[build])


def test_it_goes_to_workers_and_into_a_store(keras: Any, hgq: Any, tmp_path: Any) -> None:
    from fkeras.models.keras3 import start_packed

    model, (x, y) = little(keras, hgq, keras.layers.Reshape((5, 1)), keras.layers.LSTM(3, name="memory")), samples()
    arguments: Any = {"metric": "accuracy", "faults": 8, "trials": 6, "store": tmp_path / "store"}
    first = fkeras.campaign(model, (x, y), **arguments)
    again = fkeras.campaign(model, (x, y), **arguments)
    assert (first.reused, again.reused) == (0, 6)
    space, metrics = fkeras.bit_space(model), {"accuracy": fkeras.metrics.resolve("accuracy")}
    run = start_run(model, (x, y), metrics, space)
    shipped = model_of(model).shipped(run)
    assert shipped.start is start_packed
    there = shipped.start(shipped.content, (x, y), metrics, space, "auto")
    bits = np.arange(0, len(space), 7)
    np.testing.assert_array_equal(there.flips(bits)["accuracy"].values, run.flips(bits)["accuracy"].values)
    model.get_layer("d").kernel.assign(np.zeros((4, 5)))
    assert fkeras.campaign(model, (x, y), **arguments).reused == 0
    with pytest.raises(ModelError, match="was read from other weights than model"):
        fkeras.oracle(model, (x, y), metric="accuracy", space=space, engine="framework", bits=[0])


def test_code_of_the_users_own_is_measured_but_not_stored(keras: Any, hgq: Any, tmp_path: Any) -> None:
    class Own(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x * 2

    model, (x, y) = little(keras, hgq, Own(name="own")), samples()
    with pytest.raises(IdentityError, match="layer 'own' of class"):
        model_of(model).identity()
    with pytest.warns(fkeras.errors.NotStored, match="layer 'own'"):
        result = fkeras.campaign(model, (x, y), metric="accuracy", faults=2, trials=3, store=tmp_path / "store")
    assert result.setting.engine.startswith("framework (layer 'own': ")


def test_random_layers_are_refused(keras: Any, hgq: Any) -> None:
    class Noise(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.seeds = keras.random.SeedGenerator(1)

        def call(self, x: Any) -> Any:
            return x + keras.random.normal((5,), seed=self.seeds)

    model, (x, y) = little(keras, hgq, Noise(name="noise")), samples()
    with pytest.raises(UnsupportedError, match="gives other outputs at each call"):
        fkeras.oracle(model, (x, y), metric="accuracy", bits=[0])


def test_the_view_of_a_model(keras: Any, hgq: Any) -> None:
    model, (x, y) = little(keras, hgq), samples()
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    golden, loss = model.predict(x, verbose=0), model.evaluate(x, y, verbose=0, return_dict=True)
    space = fkeras.bit_space(model)
    top = space.index("d/kernel[0,0]:0")
    with untouched(model):
        with fkeras.injected(model, fkeras.FaultSet([]), space) as intact:
            np.testing.assert_array_equal(intact.predict(x), golden)
            for name, value in intact.evaluate(x, y, return_dict=True).items():
                assert value == pytest.approx(loss[name], rel=1e-6)
        with fkeras.injected(model, fkeras.FaultSet([top]), space) as faulty:
            outputs = faulty.predict(x, batch_size=7)
            np.testing.assert_allclose(outputs, np.asarray(faulty(x)), rtol=1e-6, atol=1e-6)  # batches of another size
            assert faulty.evaluate(x, y, return_dict=True)["loss"] != pytest.approx(loss["loss"])
            with pytest.raises(InputError, match="read-only: `fit` is not allowed"):
                faulty.fit(x, y)
            with pytest.raises(InputError, match="training=True is not allowed"):
                faulty(x, training=True)
    np.testing.assert_array_equal(model.predict(x, verbose=0), golden)
    assert not np.array_equal(outputs, golden)
    with pytest.raises(FkerasError, match="this faulty view is closed"):
        faulty.predict(x)
    with pytest.raises(InputError, match="faults is list"), fkeras.injected(model, [top], space):  # type: ignore[arg-type]
        pass


def test_what_is_written_while_a_view_lives_is_seen(keras: Any, hgq: Any) -> None:
    """Its own words stay as they were read; everything else is the model's."""
    model, (x, _) = little(keras, hgq), samples()
    with fkeras.injected(model, fkeras.FaultSet([3])) as faulty:
        before = faulty.predict(x)
        model.get_layer("f").kernel.assign(2 * np.asarray(model.get_layer("f").kernel))
        after = faulty.predict(x)
    bias = np.asarray(model.get_layer("f").bias)
    np.testing.assert_allclose(after - bias, 2 * (before - bias), rtol=1e-5, atol=1e-6)


def test_views_in_threads(keras: Any, hgq: Any) -> None:
    model, (x, _) = little(keras, hgq), samples()
    space = fkeras.bit_space(model)

    def predicted(bit: int) -> Any:
        with fkeras.injected(model, fkeras.FaultSet([bit]), space) as faulty:
            return faulty.predict(x)

    bits = list(range(0, len(space), 9))
    alone = [predicted(bit) for bit in bits]
    with ThreadPoolExecutor(4) as pool:
        for mine, theirs in zip(pool.map(predicted, bits), alone, strict=True):
            np.testing.assert_array_equal(mine, theirs)
