"""Models of every shape: the laws of injection hold, and the bits lie where the order says."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fkeras
from fkeras.errors import InputError, LayoutError, ModelError

Q4 = "quantized_bits(4,0,1,alpha=1)"


def flipped_alone(model, x, space, path, word=0):
    """The outputs when the top bit of one word flips."""
    index = space.offsets[[t.path for t in space.tensors].index(path)] + word * 4
    with fkeras.injected(model, fkeras.FaultSet([int(index)]), space=space) as view:
        return view.predict(x)


def kernel_flipped(kernel, word=0):
    """By hand: the stored codes of quantized_bits(4,0,1,alpha=1), the sign bit of one flipped."""
    codes = np.clip(np.rint(kernel * 8), -7, 7)
    codes.reshape(-1)[word] += -8 if codes.reshape(-1)[word] >= 0 else 8
    return codes / 8


def kernel_stored(kernel):
    return np.clip(np.rint(kernel * 8), -7, 7) / 8


@pytest.fixture(scope="module")
def skip(tf, q, kit):
    inputs = tf.keras.Input((4,))
    a = q.QDense(4, kernel_quantizer=Q4, use_bias=False, name="a")(inputs)
    b = q.QDense(4, kernel_quantizer=Q4, use_bias=False, name="b")(a)
    return kit.randomize(tf.keras.Model(inputs, tf.keras.layers.Add()([b, inputs, a])))


def test_skip_connection(skip, kit, check_laws):
    x = kit.data_for(skip)
    space = check_laws(skip, x)
    a, b = (skip.get_layer(name).get_weights()[0] for name in "ab")
    hidden = x @ kernel_flipped(a, 5)
    np.testing.assert_allclose(
        flipped_alone(skip, x, space, "a/kernel", 5), hidden @ kernel_stored(b) + x + hidden, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("as_dict", [False, True])
def test_three_inputs_and_two_outputs(tf, q, kit, check_laws, as_dict):
    inputs = {name: tf.keras.Input((size,), name=name) for name, size in (("z", 2), ("m", 3), ("a", 4))}
    heads = {
        name: q.QDense(2, kernel_quantizer=Q4, use_bias=False, name=f"d_{name}")(one) for name, one in inputs.items()
    }
    total = tf.keras.layers.Add()(list(heads.values()))
    outputs = {"sum": total, "last": heads["a"]}
    model = kit.randomize(
        tf.keras.Model(inputs if as_dict else list(inputs.values()), outputs if as_dict else [total, heads["a"]])
    )
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(6, one.shape[1])).astype(np.float32) for name, one in inputs.items()}
    space = check_laws(model, x)
    faulty = flipped_alone(model, x, space, "d_a/kernel")
    assert isinstance(faulty, dict) == as_dict
    kernels = {name: model.get_layer(f"d_{name}").get_weights()[0] for name in inputs}
    last = x["a"] @ kernel_flipped(kernels["a"])
    total = last + sum(x[name] @ kernel_stored(kernels[name]) for name in "zm")
    np.testing.assert_allclose(faulty["sum"] if as_dict else faulty[0], total, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(faulty["last"] if as_dict else faulty[1], last, rtol=1e-5, atol=1e-6)
    if not as_dict:
        assert kit.same(flipped_alone(model, list(x.values()), space, "d_a/kernel"), faulty)
    for wrong, message in (
        ({"z": x["z"]}, "x names the inputs"),
        ([x["z"]], r"x has 1 array\(s\)"),
        ({**x, "a": x["a"][:2]}, "different numbers of samples"),
    ):
        with fkeras.injected(model, fkeras.FaultSet(), space=space) as view, pytest.raises(InputError, match=message):
            view.predict(wrong)


@pytest.mark.parametrize("as_dict", [False, True])
def test_targets_by_output_name(tf, q, kit, as_dict):
    inputs = tf.keras.Input((4,))
    heads = {
        name: q.QDense(units, kernel_quantizer=Q4, use_bias=False, name=name)(inputs)
        for name, units in (("size", 1), ("kind", 3))
    }
    model = kit.randomize(tf.keras.Model(inputs, heads if as_dict else list(heads.values())))
    x = kit.data_for(model)
    rng = np.random.default_rng(0)
    y = {"kind": rng.integers(0, 3, len(x)), "size": rng.normal(size=(len(x), 1))}
    order = ("kind", "size") if as_dict else ("size", "kind")
    metric = fkeras.metrics.on_output(order.index("kind"), fkeras.metrics.accuracy())
    for groups in (1, 2):
        by_name = fkeras.oracle(model, (x, y), metric=metric, sample_groups=groups)
        in_order = fkeras.oracle(model, (x, tuple(y[name] for name in order)), metric=metric, sample_groups=groups)
        assert by_name.golden == in_order.golden
        assert np.array_equal(by_name.values, in_order.values)
    size = order.index("size")
    loss = lambda targets, outputs: tf.reduce_mean(tf.square(outputs[size] - targets[size]), axis=1)  # noqa: E731
    by_name, in_order = (
        fkeras.rank(model, (x, targets), method="gradient", loss=loss) for targets in (y, tuple(y[n] for n in order))
    )
    assert np.array_equal(by_name.order, in_order.order)
    with pytest.raises(InputError, match=r"y names the outputs kind, weight; the model has .*size.*y_"):
        fkeras.oracle(model, (x, {"kind": y["kind"], "weight": y["size"]}), metric=metric)


def test_tensors_whose_names_meet_have_an_address_each(tf, q, kit, check_laws):
    """A model `enc` with a layer `fc` beside a layer `enc/fc`."""
    inner_in = tf.keras.Input((4,))
    inner = tf.keras.Model(inner_in, q.QDense(3, kernel_quantizer=Q4, use_bias=False, name="fc")(inner_in), name="enc")
    inputs = tf.keras.Input((4,))
    h = inner(inputs)
    for name in ("enc/fc", "other"):
        h = q.QDense(4, kernel_quantizer=Q4, use_bias=False, name=name)(h)
    model = kit.randomize(tf.keras.Model(inputs, h))
    x = kit.data_for(model)
    space = check_laws(model, x)
    paths = [tensor.path for tensor in space.tensors]
    assert paths == ["enc/fc/kernel", "enc/fc~2/kernel", "other/kernel"]
    assert len(set(map(str, space))) == len(space) == 4 * (12 + 12 + 16)
    assert [space.index(str(address)) for address in space] == list(range(len(space)))

    first, second, last = (layer.get_weights()[0] for layer in (inner.layers[1], *model.layers[2:]))
    expected = x @ kernel_stored(first) @ kernel_flipped(second) @ kernel_stored(last)
    np.testing.assert_allclose(flipped_alone(model, x, space, "enc/fc~2/kernel"), expected, rtol=1e-5, atol=1e-6)
    for layers, chosen in (("enc/fc", paths[:1]), ("enc/fc~2", paths[1:2]), ("!enc/fc*", paths[2:])):
        assert [tensor.path for tensor in fkeras.bit_space(model, layers=layers).tensors] == chosen


@pytest.fixture(scope="module")
def nested(tf, q, kit):
    """Two uses of one inner model, one layer used twice, and a layer in between."""
    inner_in = tf.keras.Input((4,))
    inner = tf.keras.Model(inner_in, q.QDense(4, kernel_quantizer=Q4, use_bias=False, name="d")(inner_in), name="inner")
    shared = q.QDense(4, kernel_quantizer=Q4, use_bias=False, name="shared")
    inputs = tf.keras.Input((4,))
    h = shared(inner(shared(inner(inputs))))
    deep_in = tf.keras.Input((4,))
    deep = tf.keras.Sequential([q.QDense(2, kernel_quantizer=Q4, use_bias=False, name="d")], name="deep")
    wrapper = tf.keras.Model(deep_in, deep(deep_in), name="wrapper")
    return kit.randomize(tf.keras.Model(inputs, wrapper(h)))


def test_nested_and_shared_once_at_their_first_path(nested, kit, check_laws):
    x = kit.data_for(nested)
    space = check_laws(nested, x)
    assert [tensor.path for tensor in space.tensors] == ["inner/d/kernel", "shared/kernel", "wrapper/deep/d/kernel"]
    inner, shared, deep = (weights for weights in nested.get_weights())
    for path, kernels in (
        ("inner/d/kernel", (kernel_flipped(inner, 3), kernel_stored(shared), kernel_stored(deep))),
        ("shared/kernel", (kernel_stored(inner), kernel_flipped(shared, 3), kernel_stored(deep))),
        ("wrapper/deep/d/kernel", (kernel_stored(inner), kernel_stored(shared), kernel_flipped(deep, 3))),
    ):
        i, s, d = kernels
        np.testing.assert_allclose(
            flipped_alone(nested, x, space, path, 3), x @ i @ s @ i @ s @ d, rtol=1e-4, atol=1e-5
        )


def test_an_inner_model_is_a_model_of_its_own(nested, kit, check_laws):
    inner = nested.get_layer("inner")
    assert [t.path for t in check_laws(inner, kit.data_for(inner)).tensors] == ["d/kernel"]


@pytest.mark.parametrize(
    ("layers", "paths"),
    [
        ("shared", ["shared"]),
        ("d", ["inner/d", "wrapper/deep/d"]),
        ("inner/*", ["inner/d"]),
        ("!shared", ["inner/d", "wrapper/deep/d"]),
        (["*", "!inner/*"], ["shared", "wrapper/deep/d"]),
    ],
)
def test_layers_are_chosen_by_glob(nested, layers, paths):
    space = fkeras.bit_space(nested, layers=layers)
    assert [tensor.path.removesuffix("/kernel") for tensor in space.tensors] == paths
    assert {entry.reason for entry in space.uncovered} == {"not chosen by layers="}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("conv*", r"no layer matches 'conv\*'; the model has .*inner/d.*shared"),
        ("!nobody", "no layer matches 'nobody'"),
        ([], "layers=.*allowed are a glob"),
        (["!"], "allowed are a glob"),
    ],
)
def test_a_glob_that_matches_nothing_is_an_error(nested, layers, message):
    with pytest.raises(InputError, match=message):
        fkeras.bit_space(nested, layers=layers)


def test_a_space_of_some_layers_injects_into_those(nested, kit):
    x = kit.data_for(nested)
    part, whole = fkeras.bit_space(nested, layers="!inner/*"), fkeras.bit_space(nested)
    assert kit.same(
        flipped_alone(nested, x, part, "shared/kernel", 2), flipped_alone(nested, x, whole, "shared/kernel", 2)
    )


def test_sequential_without_an_input_layer(tf, q, kit, check_laws):
    model = tf.keras.Sequential(
        [
            q.QDense(3, kernel_quantizer=Q4, name="one"),
            tf.keras.layers.ReLU(),
            q.QDense(2, kernel_quantizer=Q4, name="two"),
        ]
    )
    with pytest.raises(ModelError, match=r"has no weights yet|has no known inputs"):
        fkeras.bit_space(model)
    model(np.zeros((1, 4), np.float32))
    kit.randomize(model)
    check_laws(model, kit.data_for(model))
    check_laws(model, [kit.data_for(model)])


def test_a_model_traced_before_is_injected_all_the_same(tf, skip, kit):
    """Swapping a quantizer after a trace would change nothing, silently."""
    x = kit.data_for(skip)
    traced = tf.function(lambda data: skip(data, training=False))
    golden = traced(x).numpy()
    space = fkeras.bit_space(skip)
    faulty = flipped_alone(skip, x, space, "b/kernel")
    a, b = (skip.get_layer(name).get_weights()[0] for name in "ab")
    hidden = x @ kernel_stored(a)
    np.testing.assert_allclose(faulty, hidden @ kernel_flipped(b) + x + hidden, rtol=1e-5, atol=1e-6)
    assert np.array_equal(traced(x).numpy(), golden)


def test_a_retrained_model_is_read_and_injected_anew(tf, q, kit):
    inputs = tf.keras.Input((4,))
    model = kit.randomize(tf.keras.Model(inputs, q.QDense(3, kernel_quantizer=Q4, use_bias=False, name="d")(inputs)))
    x = kit.data_for(model)
    before = fkeras.bit_space(model)
    flipped_alone(model, x, before, "d/kernel")
    kit.randomize(model, seed=5)
    after = fkeras.bit_space(model)
    assert before.layout_digest == after.layout_digest
    assert before.content_digest != after.content_digest
    np.testing.assert_allclose(
        flipped_alone(model, x, after, "d/kernel"), x @ kernel_flipped(model.get_weights()[0]), rtol=1e-5, atol=1e-6
    )


def test_a_layer_put_in_another_place_is_traced_anew(tf, q, kit):
    model = tf.keras.Sequential(
        [
            tf.keras.Input((3,)),
            q.QDense(3, kernel_quantizer=Q4, use_bias=False, name="d"),
            tf.keras.layers.ReLU(name="r"),
        ]
    )
    kit.randomize(model)
    x = kit.data_for(model)
    with fkeras.injected(model, fkeras.FaultSet()) as view:
        assert (view.predict(x) >= 0).all()
    model.pop()
    with fkeras.injected(model, fkeras.FaultSet()) as view:
        assert kit.same(view.predict(x), model.predict(x, verbose=0))
        assert (view.predict(x) < 0).any()


def test_a_space_of_another_model_is_refused(skip, nested):
    with (
        pytest.raises(LayoutError, match="the model has no quantized tensor 'a/kernel'"),
        fkeras.injected(nested, fkeras.FaultSet(), space=fkeras.bit_space(skip)),
    ):
        pass


def test_a_space_of_other_shapes_is_refused(tf, q, kit):
    def one(units):
        inputs = tf.keras.Input((4,))
        return tf.keras.Model(inputs, q.QDense(units, kernel_quantizer=Q4, name="d")(inputs))

    with (
        pytest.raises(
            LayoutError, match=r"tensor 'd/kernel' has shape \(4, 3\) in the model and \(4, 2\) in the space"
        ),
        fkeras.injected(one(3), fkeras.FaultSet(), space=fkeras.bit_space(one(2))),
    ):
        pass


def test_a_pruned_model_in_memory(tf, q, kit, check_laws):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorflow_model_optimization.sparsity import keras as sparsity

        inputs = tf.keras.Input((4,))
        layer = sparsity.prune_low_magnitude(q.QDense(3, kernel_quantizer=Q4, use_bias=False, name="d"))
        model = tf.keras.Model(inputs, layer(inputs))
    layer.layer.kernel.assign(np.random.default_rng(0).normal(0, 0.4, (4, 3)))
    x = kit.data_for(model)
    space = check_laws(model, x)
    assert [tensor.path for tensor in space.tensors] == ["d/kernel"]
    np.testing.assert_allclose(
        flipped_alone(model, x, space, "d/kernel", 4),
        x @ kernel_flipped(layer.layer.kernel.numpy(), 4),
        rtol=1e-5,
        atol=1e-6,
    )


def test_what_is_no_model_is_refused():
    with pytest.raises(InputError, match=r"model is builtins.str; allowed are Keras 2 models"):
        fkeras.bit_space("model.h5")
    with pytest.raises(InputError, match="allowed are Keras 2 models"), fkeras.injected(3, fkeras.FaultSet()):
        pass


def test_a_model_that_only_python_knows_has_no_inputs(tf, q):
    class Mine(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.d = q.QDense(2, kernel_quantizer=Q4)

        def call(self, inputs):
            return self.d(inputs)

    model = Mine()
    model(np.zeros((1, 3), np.float32))
    with pytest.raises(ModelError, match="has no known inputs; use a Sequential or functional model"):
        fkeras.bit_space(model)


def test_a_subclassed_model_inside_a_functional_one(tf, q, kit, check_laws):
    class Mine(tf.keras.Model):
        def __init__(self):
            super().__init__(name="mine")
            self.first = q.QDense(3, kernel_quantizer=Q4, use_bias=False, name="first")

        def call(self, inputs):
            return self.first(inputs)

    inputs = tf.keras.Input((4,))
    model = kit.randomize(tf.keras.Model(inputs, Mine()(inputs)))
    x = kit.data_for(model)
    space = check_laws(model, x)
    assert [tensor.path for tensor in space.tensors] == ["mine/first/kernel"]
    np.testing.assert_allclose(
        flipped_alone(model, x, space, "mine/first/kernel"),
        x @ kernel_flipped(model.get_weights()[0]),
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_layer_whose_quantizer_is_never_called_is_refused(tf, q, kit):
    class Deaf(q.QDense):
        def call(self, inputs):
            return tf.matmul(inputs, self.kernel)

    inputs = tf.keras.Input((4,))
    model = tf.keras.Model(inputs, Deaf(3, kernel_quantizer=Q4, name="deaf")(inputs))
    with pytest.raises(fkeras.UnsupportedError, match=r"tensor 'deaf/kernel' is never quantized.*layers='!deaf'"):
        fkeras.bit_space(model)
