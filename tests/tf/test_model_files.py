"""A model file that a store knows: the same numbers under the same identity, and no framework."""

from __future__ import annotations

import json
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkeras
from fkeras.errors import ChangedError, NotStored
from fkeras.memory import Coverage
from fkeras.models.file import FiledModel, model_in
from fkeras.models.kinds import Shipped
from fkeras.sensitivity.methods import METHODS
from fkeras.store import Store
from tests.cli.conftest import small_model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "small.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small_model().save(path)
    return path


@pytest.fixture
def model_file(made: Path, tmp_path: Path) -> Path:
    path = tmp_path / "small.h5"
    path.write_bytes(made.read_bytes())
    return path


def data(seed: int = 1, n: int = 20, on_grid: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.integers(-32, 32, (n, 4)) / 16 if on_grid else rng.normal(size=(n, 4))
    return x.astype(np.float32), rng.integers(0, 2, n)


def study(model: Any, store: Any, pair: Any = None, metric: str = "accuracy") -> fkeras.Study:
    return fkeras.Study(model, pair or data(), metric, store=store)


def is_opened(model: FiledModel) -> bool:
    return "_framework" in vars(model)


@pytest.fixture
def known(model_file: Path, tmp_path: Path) -> FiledModel:
    """small.h5 as a store knows it that has measured it once on `data()`."""
    store = Store(tmp_path / "store")
    first = model_in(model_file, store=store)
    study(first, store).campaign(faults=2, trials=5)
    assert is_opened(first)
    return model_in(model_file, store=Store(tmp_path / "store"))


def test_identity_memory_and_numbers_are_those_of_the_framework(known: FiledModel, model_file: Path) -> None:
    keras = fkeras.load_model(model_file)
    mine, theirs = study(known, None), study(keras, None)
    assert mine.identity == theirs.identity
    assert mine.space.content_digest == theirs.space.content_digest
    assert list(map(str, mine.space.uncovered)) == list(map(str, theirs.space.uncovered))
    assert mine.model_name == theirs.model_name
    assert mine.run().engine == theirs.run().engine == "cpu"
    assert mine.run().golden["accuracy"].value == theirs.run().golden["accuracy"].value
    assert mine.oracle().values.tobytes() == theirs.oracle().values.tobytes()
    assert not is_opened(known)


def test_what_was_measured_with_the_framework_is_read_without_and_the_other_way_round(
    known: FiledModel, model_file: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    assert study(known, store).campaign(faults=2, trials=5).reused == 5
    assert not is_opened(known)
    study(known, store).campaign(faults=3, trials=4)
    assert study(fkeras.load_model(model_file), store).campaign(faults=3, trials=4).reused == 4
    assert len(list(Store(store).entries())) == 2  # what is known of the model is no result


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("msb", "random")])
def test_a_file_is_ranked_as_its_model_is(method: str, known: FiledModel, model_file: Path) -> None:
    mine, theirs = study(known, None), study(fkeras.load_model(model_file), None)
    rankings = mine.rank(method), theirs.rank(method)
    assert rankings[0].order.tolist() == rankings[1].order.tolist()
    assert rankings[0].scores.tobytes() == rankings[1].scores.tobytes()
    assert not is_opened(known)


def test_a_loss_of_users_is_differentiated_by_the_framework(known: FiledModel, model_file: Path) -> None:
    def loss(targets: Any, outputs: Any) -> Any:
        return outputs[:, 0] - outputs[:, 1]

    mine, theirs = study(known, None), study(fkeras.load_model(model_file), None)
    assert mine.rank("gradient", loss=loss).order.tolist() == theirs.rank("gradient", loss=loss).order.tolist()


def test_samples_count_one_by_one(known: FiledModel) -> None:
    x, y = data()
    study(known, None, (x[5:9], y[5:9])).run()
    assert not is_opened(known)
    study(known, None, data(seed=2)).run()
    assert is_opened(known)


def test_fitting_by_values_is_not_fitting_by_class(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()  # what is known of a model alone makes none
    store = Store(tmp_path / "store")
    targets = data()[0], np.zeros((20, 2), np.float32)
    study(model_in(model_file, store=store), store, targets, "mean_squared_error").run()
    again = model_in(model_file, store=store)
    study(again, None, targets, "mean_squared_error").run()
    assert not is_opened(again)
    study(again, None).run()
    assert is_opened(again)


def test_where_it_does_not_fit_the_framework_measures_once_and_is_not_asked_again(
    model_file: Path, tmp_path: Path
) -> None:
    results, engines = [], []
    for trials in (5, 5, 6):
        store = Store(tmp_path / "store")
        model = model_in(model_file, store=store)
        asked = study(model, store, (data(on_grid=False)[0], np.zeros((20, 2))), "mean_squared_error")
        results.append(asked.campaign(faults=2, trials=trials))
        assert is_opened(model) is (results[-1].reused < trials)
        engines.append(asked.run().engine)
        assert asked.space.content_digest == fkeras.bit_space(fkeras.load_model(model_file)).content_digest
    assert [result.reused for result in results] == [0, 5, 5]
    assert results[0].values.tobytes() == results[1].values.tobytes()
    assert engines[0].startswith("framework (")
    assert engines == engines[:1] * 3
    fitting = model_in(model_file, store=Store(tmp_path / "store"))  # on other data, and then it is known to
    assert study(fitting, fitting._store).run().engine == "cpu"
    again = model_in(model_file, store=Store(tmp_path / "store"))
    assert study(again, None).run().engine == "cpu"
    assert not is_opened(again)


def test_words_that_no_network_holds_are_kept_as_well(known: FiledModel, model_file: Path, tmp_path: Path) -> None:
    coverage = Coverage(memory="hls4ml", biases=True)
    first = known.bit_space(coverage)
    assert is_opened(known)
    again = model_in(model_file, store=Store(tmp_path / "store"))
    space = again.bit_space(coverage)
    assert not is_opened(again)
    assert (space.content_digest, space.memory) == (first.content_digest, "hls4ml")
    assert list(map(str, space.uncovered)) == list(map(str, first.uncovered))
    (path,) = (path for path in again._documents.folder.glob("space-*.json") if b'"hls4ml"' in path.read_bytes())
    path.write_bytes(path.read_bytes()[:-9])
    store = Store(tmp_path / "store")
    assert model_in(model_file, store=store).bit_space(coverage).content_digest == first.content_digest
    assert "left out, it is damaged" in store.notices[0]


def test_other_bytes_are_another_model(known: FiledModel, model_file: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small_model(seed=5).save(model_file)
    with pytest.raises(ChangedError, match=r"small\.h5 has changed since it was first looked at"):
        known.opened  # noqa: B018
    other = model_in(model_file, store=Store(tmp_path / "store"))
    assert study(other, None).space.content_digest != study(known, None).space.content_digest
    assert is_opened(other)


def test_a_changed_model_is_noticed_once_it_is_opened(known: FiledModel) -> None:
    asked = study(known, None)
    asked.run()
    model = asked.model
    asked.require_unchanged()
    model.set_weights([weight + 1 for weight in model.get_weights()])
    with pytest.raises(ChangedError, match="the model changed since this study first measured with it"):
        asked.campaign(faults=1, trials=1)
    changed = study(known, None)  # of what it is now
    assert changed.identity["model"] == study(model, None).identity["model"]
    assert changed.space.content_digest == fkeras.bit_space(model).content_digest != asked.space.content_digest


@pytest.mark.parametrize("damage", ["no network", "half a network", "another network", "no record", "half a record"])
def test_what_is_damaged_in_the_store_is_left_out_and_made_again(
    damage: str, known: FiledModel, model_file: Path, tmp_path: Path
) -> None:
    (folder,) = (tmp_path / "store" / "model").iterdir()
    network, record = folder / "network.fkn", folder / "record.json"
    if damage == "no network":
        network.unlink()
    elif damage == "half a network":
        network.write_bytes(network.read_bytes()[:500])
    elif damage == "another network":
        content = json.loads(record.read_text())
        record.write_text(json.dumps({**content, "network": "0" * 64}))
    elif damage == "no record":
        record.unlink()
    else:
        record.write_text(record.read_text()[:50])
    store = Store(tmp_path / "store")
    model = model_in(model_file, store=store)
    damaged = pytest.warns(NotStored, match="left out, it is damaged")
    with nullcontext() if damage.startswith("no") else damaged:
        assert study(model, store).campaign(faults=2, trials=6).reused == 5
    assert is_opened(model)
    again = model_in(model_file, store=Store(tmp_path / "store"))
    study(again, None).run()
    assert not is_opened(again)


def test_workers_get_the_network_where_it_serves(known: FiledModel, model_file: Path) -> None:
    import pickle

    for model in (known, fkeras.models.kinds.model_of(fkeras.load_model(model_file))):
        asked = study(model, None)
        shipped = model.shipped(asked.run())
        assert isinstance(shipped, Shipped)
        assert b"tensorflow" not in pickle.dumps(shipped.content)
        run = shipped.start(pickle.loads(pickle.dumps(shipped.content)), asked.data, asked.metrics, asked.space, "auto")
        bits = np.arange(10)
        assert run.flips(bits)["accuracy"].values.tobytes() == asked.run().flips(bits)["accuracy"].values.tobytes()
        assert model.shipped(study(model, None, data(on_grid=False)).run()).content != shipped.content
