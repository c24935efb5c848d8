"""End to end on a QKeras model: each session runs in a process of its own, forked where TensorFlow is imported."""

from __future__ import annotations

import pytest

CONFTEST = """
import fkeras                      # before TensorFlow
import numpy as np
import pytest


def build():
    import tensorflow as tf
    from qkeras import QDense, quantized_bits
    layers = tf.keras.layers
    model = tf.keras.Sequential([
        layers.Input((4,)),
        QDense(5, kernel_quantizer=quantized_bits(4, 0, alpha=1), bias_quantizer=quantized_bits(4, 0, alpha=1),
               name="hidden"),
        layers.ReLU(),
        layers.Dense(3, name="scores"),
    ], name="tiny")
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(-1, 1, array.shape).astype(np.float32) for array in model.get_weights()])
    return model


@pytest.fixture(scope="session")
def fkeras_data():
    x = np.random.default_rng(1).normal(size=(100, 4)).astype(np.float32)
    return x, build().predict(x, verbose=0).argmax(axis=1)
"""

IN_MEMORY = """
@pytest.fixture(scope="session")
def fkeras_model():
    return build()
"""

FROM_FILE = """
@pytest.fixture(scope="session")
def fkeras_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.h5"
    build().save(path)
    return path
"""

BUDGETS = """
import fkeras
import numpy as np
import pytest
from pytest_fkeras import fault_budget, ranking

BEFORE = {}


@fault_budget(bits=4, protected=ranking("msb")[:60], min_accuracy=0.5)
def test_protected():
    pass


@fault_budget(bits=4, trials=60, min_accuracy=1.0)
def test_bare():
    pass


@fault_budget(bits=1, trials="all", layers="hidden", biases=True, max_accuracy_drop=0.9)
def test_every_bit(fkeras_campaign):
    assert len(fkeras_campaign) == 4 * (4 * 5 + 5)


@fault_budget(bits=4, protected=ranking.fraction(0.5), trials=20)
def test_read(fkeras_campaign, fkeras_ranking, resilience):
    by_hand = fkeras.campaign(resilience.model, resilience.data, metric="accuracy", faults=4, trials=20,
                              protected=fkeras_ranking.fraction(0.5), seed=0)
    assert fkeras_campaign["accuracy"].values.tolist() == by_hand.values.tolist()
"""


@pytest.mark.parametrize("arguments", [(), ("--fkeras-executor=processes:1", "--fkeras-cache=off")])
def test_budgets_on_a_model_in_memory(pytester, tensorflow_sessions, arguments):
    pytester.makeini("[pytest]\nfkeras_seed = 0\n")
    pytester.makeconftest(CONFTEST + IN_MEMORY)
    pytester.makepyfile(BUDGETS)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "FAIL: *, limits min_accuracy=1*",
            "*hidden/kernel[[]*[]]:*->*",
            "model tiny *",
            "not covered: 5 values (bias; biases=True covers it), 18 (not a QKeras layer)",
        ]
    )


def test_the_injector_and_the_weights_of_a_model_from_a_file(pytester, tensorflow_sessions):
    pytester.makeconftest(CONFTEST + FROM_FILE)
    pytester.makepyfile("""
        import numpy as np
        import pytest
        from fkeras import FaultSet
        from pytest_fkeras import fault_budget

        @pytest.fixture(scope="module", autouse=True)
        def unchanged(resilience):
            before = [array.copy() for array in resilience.model.get_weights()]
            yield
            for old, new in zip(before, resilience.model.get_weights(), strict=True):
                assert old.tobytes() == new.tobytes()

        def test_one_fault(fault_injector, fault_space, resilience):
            x = resilience.data[0]
            kernel = resilience.model.get_layer("hidden").get_weights()[0]
            for faults in (FaultSet([0]), "hidden/kernel[0,0]:0", [0]):
                with fault_injector(faults) as faulty:
                    changed = faulty.predict(x) != resilience.model.predict(x, verbose=0)
                assert changed.any()

        def test_exceptions_pass_through(fault_injector):
            with pytest.raises(ZeroDivisionError), fault_injector([3]):
                1 / 0

        @fault_budget(bits=4, min_accuracy=1.0)
        def test_fails():
            raise AssertionError("body")

        def test_a_write_is_noticed(fault_injector, resilience):
            weights = resilience.model.get_weights()
            with pytest.raises(pytest.fail.Exception, match="the weights of the model under test changed"):
                with fault_injector([3]):
                    resilience.model.set_weights([array + 1 for array in weights])
            resilience.model.set_weights(weights)
    """)
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=3, failed=1)


@pytest.mark.parametrize(("given", "model"), [(IN_MEMORY, "fkeras_model"), (FROM_FILE, "resilience.model")])
def test_a_bias_outside_the_memory_that_a_test_wrote_is_noticed(pytester, tensorflow_sessions, given, model):
    pytester.makeconftest(CONFTEST + given)
    pytester.makepyfile(f"""
        from pytest_fkeras import fault_budget

        def test_writes({model.partition(".")[0]}):
            {model}.get_layer("scores").bias.assign_add([9.0, 0.0, 0.0])

        @fault_budget(bits=4, min_accuracy=0.0001)
        def test_budget():
            pass
    """)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:randomly")
    result.assert_outcomes(passed=1, errors=1)
    said = " ".join(result.stdout.str().split())
    assert "what fkeras_model gave has changed since, as noticed in" in said
    assert "::test_budget: this test, or one before it, wrote into it (set_weights, assign, fit ...)" in said
    assert list(pytester.path.glob(".fkeras_cache/campaign/*/rows/*")) == []


def test_tensorflow_imported_first_is_explained_and_an_ini_key_helps(pytester, monkeypatch):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    pytester.makeconftest(
        "import tensorflow\n"
        + CONFTEST
        + """
@pytest.fixture(scope="session")
def fkeras_model():
    from fkeras.frontends.qkeras.setup import tensorflow
    tensorflow()
    return build()
"""
    )
    pytester.makepyfile("""
        from pytest_fkeras import fault_budget

        @fault_budget(bits=4, max_accuracy_drop=0.99)
        def test_budget():
            pass
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*put any fkeras_[*] key (fkeras_seed = 1) into the ini file*"])
    pytester.makeini("[pytest]\nfkeras_max_trials = 200\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
