"""What is written is what is read; what is not as it was written, or was never meant to be read, is refused."""

from __future__ import annotations

import io
import json
import resource
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fkeras import network as fn
from fkeras.errors import Argument, InputError, ModelError
from fkeras.memory import (
    Binary,
    FixedPoint,
    Float,
    MixedFixedPoint,
    PowerOfTwo,
    Ternary,
    Uncovered,
    WordTensor,
)
from fkeras.memory.inventory import Inventory, LayerMemory
from fkeras.network import file
from fkeras.network.content import _by_class, _of_class, array_digest, canonical, content_of
from fkeras.network.file import file_digest, read_network, require_source_unchanged, source_of, write_network


def content(network: fn.Network) -> tuple[Any, list[tuple[str, bytes]]]:
    """All of a network, comparable."""
    arrays: list[tuple[str, bytes]] = []

    def put(array: np.ndarray) -> int:
        arrays.append((array.dtype.str, array.tobytes()))
        return len(arrays) - 1

    return content_of(network, put), arrays


CODECS = [FixedPoint(6, 0), FixedPoint(3, 1, signed=False), Binary(), Ternary(), PowerOfTwo(4, 0), MixedFixedPoint]


def stored(path: str, shape: tuple[int, ...], codec: Any, scale: str, rng: np.random.Generator) -> WordTensor:
    size = int(np.prod(shape))
    if codec is MixedFixedPoint:
        codec = MixedFixedPoint(rng.integers(0, 7, size), rng.integers(-1, 3, size), rng.integers(0, 2, size))
    words = rng.integers(0, 1 << codec.width, size).astype(np.uint32)
    factors = {"one": np.ones(shape), "channel": rng.random(shape[-1]) + 0.1, "each": rng.random(shape) + 0.1}
    scales = np.broadcast_to(factors[scale], shape).astype(np.float32).reshape(-1)
    golden = (codec.decode(words) * scales.astype(np.float64)).astype(np.float32)
    if scale == "each":
        golden = np.nextafter(golden, np.float32(np.inf)) * (codec.width > 0)  # as QKeras' own rounding leaves it
    return WordTensor(path, shape, codec, words, scales.copy(), golden)


@st.composite
def networks(draw: st.DrawFn) -> fn.Network:
    """Networks of up to 12 nodes on an image, a row of numbers, or both."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inputs = (fn.Input("image", (4, 5, 2)), fn.Input("row", (6,), "uint8"))[: draw(st.integers(1, 2))]
    shapes = {part.name: part.shape for part in inputs}
    nodes: list[fn.Node] = []
    layers: list[LayerMemory] = []
    constants: dict[str, np.ndarray] = {}

    def add(operation: fn.Operation, *names: str) -> None:
        nodes.append(fn.Node(f"node{len(nodes)}", operation, names))
        given = {tensor.path: tensor.shape for layer in layers for tensor in (*layer.kernels, *layer.biases)}
        given |= {name: value.shape for name, value in constants.items()}
        shapes[nodes[-1].name] = operation.shape(given, *(shapes[name] for name in names))

    def kernel(*shape: int) -> str:
        path = f"layer{len(layers)}"
        scale = draw(st.sampled_from(["one", "channel", "each"]))
        weights = stored(f"{path}/kernel", shape, draw(st.sampled_from(CODECS)), scale, rng)
        bias = stored(f"{path}/bias", shape[-1:], FixedPoint(5, 1), "one", rng)
        left_out = Uncovered(f"{path}/bias", shape[-1], "biases=True", (Argument("biases", True),), path)
        layers.append(LayerMemory(path, (weights,), (bias,), (left_out,), (left_out,)))
        return f"{path}/kernel"

    def constant(values: np.ndarray) -> str:
        constants[f"constant{len(constants)}"] = values.astype(np.float32)
        return f"constant{len(constants) - 1}"

    for _ in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from(sorted(shapes)))
        shape = shapes[name]
        kind = draw(st.sampled_from(["sum", "point", "shape", "merge"]))
        if kind == "sum" and len(shape) == 3 and min(shape[:2]) > 1:
            strides, padding = (draw(st.integers(1, 2)), 1), draw(st.sampled_from(["same", "valid"]))
            if draw(st.booleans()):
                add(fn.Convolution(kernel(2, 2, shape[-1], 3), strides, padding, (1, 1)), name)
            else:
                add(fn.DepthwiseConvolution(kernel(2, 2, shape[-1], 2), strides, padding, (1, 1)), name)
            add(fn.Bias(constant(rng.normal(size=shapes[nodes[-1].name][-1:]))), nodes[-1].name)
        elif kind == "sum":
            add(fn.Dense(kernel(shape[-1], 3)), name)
            add(fn.Bias(f"layer{len(layers) - 1}/bias"), nodes[-1].name)
        elif kind == "point":
            low, high = constant(-np.ones(shape[-1:])), constant(np.arange(1.0, shape[-1] + 1))
            quantize = fn.Quantize(0.25, low, high, draw(st.sampled_from(["floor", "half_up"])))
            add(draw(st.sampled_from([quantize, fn.Relu(), fn.Relu(0.5, 3.0), fn.Function("tanh")])), name)
        elif kind == "shape":
            add(fn.Reshape((int(np.prod(shape)),)), name)
        else:
            others = sorted(other for other, one in shapes.items() if one == shape)
            add(fn.Merge(draw(st.sampled_from(["add", "maximum", "average"]))), name, draw(st.sampled_from(others)))
    outputs = tuple(draw(st.lists(st.sampled_from(sorted(shapes)), min_size=1, max_size=2, unique=True)))
    memory = Inventory("m", tuple(layers))
    return fn.Network(
        "m", inputs, tuple(nodes), outputs, tuple(f"o{i}" for i in range(len(outputs))), memory, constants
    )


@settings(max_examples=40, deadline=None)
@given(networks())
def test_what_is_read_is_what_was_written(tmp_path_factory: pytest.TempPathFactory, network: fn.Network) -> None:
    path = tmp_path_factory.mktemp("fkn") / "m.fkn"
    write_network(network, path, source="5" * 64)
    again = read_network(path)
    assert content(again) == content(network)
    assert again.digest == network.digest
    assert source_of(path) == "5" * 64
    for layers in ("*", "layer0"):
        if network.memory.layers:
            mine, theirs = network.memory.space(layers, biases=True), again.memory.space(layers, biases=True)
            assert theirs.content_digest == mine.content_digest
            assert [tensor.golden.tobytes() for tensor in theirs.tensors] == [t.golden.tobytes() for t in mine.tensors]
            assert [(str(e), e.parts, e.layer) for e in theirs.uncovered] == [
                (str(e), e.parts, e.layer) for e in mine.uncovered
            ]
    write_network(again, path.with_name("again.fkn"), source="5" * 64)
    assert path.with_name("again.fkn").read_bytes() == path.read_bytes()


def small(**changes: Any) -> fn.Network:
    rng = np.random.default_rng(3)
    memory = Inventory(
        "m", (LayerMemory("d", (stored("d/kernel", (6, 3), FixedPoint(5, 0), "channel", rng),)),)
    )  # fmt: skip
    parts: dict[str, Any] = {
        "name": "m",
        "inputs": (fn.Input("x", (6,)),),
        "nodes": (
            fn.Node("sum", fn.Dense("d/kernel"), ("x",)),
            fn.Node("shift", fn.Bias("offset"), ("sum",)),
            fn.Node("relu", fn.Relu(), ("shift",)),
        ),
        "outputs": ("relu",),
        "output_names": ("y",),
        "memory": memory,
        "constants": {"offset": np.array([0.5, -0.5, 0.0], np.float32)},
    }
    return fn.Network(**{**parts, **changes})


@pytest.mark.parametrize(
    "codec",
    [
        Float("float16"),
        Float("bfloat16"),
        MixedFixedPoint(np.arange(6) % 4, np.arange(6) - 3, np.arange(6) % 2),
        PowerOfTwo(3, largest_exponent=None, spacing=2),
    ],
    ids=repr,
)
def test_every_codec_survives(codec: Any, tmp_path: Path) -> None:
    words = (np.arange(6) * 7919 & ((1 << np.asarray(codec.width)) - 1)).astype(np.uint32)
    tensor = WordTensor(
        "d/kernel", (6, 1), codec, words, np.ones(6, np.float32), codec.decode(words).astype(np.float32)
    )
    memory = Inventory("m", (LayerMemory("d", (tensor,)),))
    network = small(nodes=(fn.Node("relu", fn.Dense("d/kernel"), ("x",)),), constants={}, memory=memory)
    write_network(network, tmp_path / "m.fkn")
    again = read_network(tmp_path / "m.fkn")
    assert again.memory.tensors[0].codec == codec
    assert again.memory.space().content_digest == memory.space().content_digest
    assert again.digest == network.digest


FIELDS = {
    "tuple[int, ...]": (2, 1),
    "tuple[tuple[int, int], ...]": ((1, 2), (0, 1)),
    "bool": False,
    "int": 2,
    "float": 0.5,
    "float | str": "limits",
    "equation": "nab,bc->nac",
    "kind": "maximum",
    "name": "tanh",
    "padding": "causal",
    "rounding": "floor",
    "overflow": "wrap",
    "through": "input",
}


@pytest.mark.parametrize("name", fn.OPERATIONS)
def test_every_operation_survives_with_values_that_are_no_defaults(name: str) -> None:
    kind = fn.OPERATIONS[name]
    operation = kind(**{f.name: FIELDS.get(f.name, FIELDS.get(str(f.type), f"a {f.name}")) for f in fields(kind)})
    written = json.loads(canonical(_by_class(operation, lambda array: array)))
    assert _of_class(written, fn.OPERATIONS, lambda array, _: array) == operation


def test_a_product_of_several_axes_survives(tmp_path: Path) -> None:
    kernel = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    network = small(
        inputs=(fn.Input("x", (5, 4)),),
        nodes=(fn.Node("relu", fn.Einsum("k", "nab,bcd->nacd"), ("x",)),),
        constants={"k": kernel},
    )
    write_network(network, tmp_path / "m.fkn")
    assert content(read_network(tmp_path / "m.fkn")) == content(network)


def test_the_digest_is_of_all_that_computes_and_of_nothing_else() -> None:
    network = small()
    assert small(name="other").digest == network.digest
    memory = network.memory
    renamed = Inventory("other", (LayerMemory("d", memory.layers[0].kernels, not_chosen=(Uncovered("b", 3, "no"),)),))
    assert small(memory=renamed).digest == network.digest
    others = [
        small(constants={"offset": np.array([0.5, -0.5, -0.0], np.float32)}),
        small(nodes=(*network.nodes[:2], fn.Node("relu", fn.Relu(0.5), ("shift",)))),
        small(inputs=(fn.Input("x", (6,), "uint8"),)),
        small(output_names=("z",)),
        small(outputs=("shift",)),
    ]
    assert len({network.digest, *(other.digest for other in others)}) == 6


def test_the_digest_is_the_same_on_every_machine() -> None:
    assert small().digest == "9c64c7f5000056dce852eb02142debe4045c34a078878b610e5a48243743df99"


class Damage:
    """An `.fkn` file with something else in it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "m.fkn"
        write_network(small(), self.path)

    def header(self, change: Callable[[dict[str, Any]], Any]) -> Path:
        """With another JSON: what `change` does to it."""
        with zipfile.ZipFile(self.path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        header = json.loads(members["network.json"])
        text = change(header)
        members["network.json"] = text if isinstance(text, bytes) else canonical(header).encode()
        return self.members(members)

    def members(self, members: dict[str, bytes]) -> Path:
        """With these members."""
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in members.items():
                archive.writestr(name, part)
        return self.path

    def array(self, number: int, array: np.ndarray, digest: bool = True) -> Path:
        """With another array, whose digest is right unless told."""
        stream = io.BytesIO()
        np.lib.format.write_array(stream, array, allow_pickle=True)
        with zipfile.ZipFile(self.path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members[f"array{number}.npy"] = stream.getvalue()
        self.members(members)
        return self.header(lambda h: h["arrays"].__setitem__(number, array_digest(array))) if digest else self.path


@pytest.fixture
def damage(tmp_path: Path) -> Damage:
    return Damage(tmp_path)


def refused(path: Path, *texts: str) -> None:
    with pytest.raises(InputError) as error:
        read_network(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 1000
    for text in texts:
        assert text in message


def test_every_truncation_is_refused(damage: Damage) -> None:
    whole = damage.path.read_bytes()
    for size in (0, 1, 10, 200, len(whole) // 2, len(whole) - 1):
        damage.path.write_bytes(whole[:size])
        refused(damage.path, "damaged or no network file", "fkeras export")


def test_every_wrong_byte_is_refused_or_harmless(damage: Damage) -> None:
    whole, right = damage.path.read_bytes(), small().digest
    for place in range(0, len(whole), 7):
        damage.path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert read_network(damage.path).digest == right
        except InputError as error:
            assert str(error).startswith(str(damage.path))  # noqa: PT017


def node(number: int, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header["network"]["nodes"][number].update(changes)


def operation(number: int, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header["network"]["nodes"][number]["operation"].update(changes)


def top(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header.update(changes)


def inside(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header["network"].update(changes)


def tensor(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header["network"]["memory"]["layers"][0]["kernels"][0].update(changes)


def x_of(*shape: int, dtype: str = "float32") -> dict[str, Any]:
    return {"name": "x", "shape": list(shape), "dtype": dtype}


HEADERS = {
    "newer": (top(version=2), "version 2 of the format, and this fkeras reads version 1; update fkeras"),
    "no version": (lambda header: header.pop("version"), "version None"),
    "another format": (top(format="onnx"), "is no network file"),
    "nothing inside": (top(network=None), "describes no network"),
    "no arrays": (top(arrays=None), "lacks the arrays"),
    "no golden": (lambda header: header.pop("golden"), "lacks golden"),
    "another digest": (top(digest="0" * 64), "does not hold the network that it was written with"),
    "an array that is not there": (tensor(words=99), "speaks of an array 99, and has 5 arrays"),
    "an array that is a text": (tensor(words="../../etc/passwd"), "speaks of an array ../../etc/passwd"),
    "a loop": (node(0, inputs=["relu"]), "node 'sum' reads 'relu', which does not stand before it"),
    "itself": (node(1, inputs=["shift"]), "node 'shift' reads 'shift'"),
    "twice": (node(1, name="sum"), "two nodes are called 'sum'"),
    "nothing read": (node(0, inputs=[]), "node 'sum' reads nothing"),
    "an unknown operation": (operation(0, **{"class": "Lambda"}), "holds a 'Lambda'; known are Affine, "),
    "an unknown field": (operation(2, slop=1.0), "holds a Relu with the fields most, slop, slope; it has most, slope"),
    "a field too few": (
        lambda h: h["network"]["nodes"][2]["operation"].pop("most"),
        "holds a Relu with the fields slope; it has most, slope",
    ),
    "a field of another type": (operation(2, slope=[1]), "describes no network"),
    "an unknown parameter": (operation(0, kernel="e/kernel"), "reads 'e/kernel'"),
    "a huge word": (tensor(codec={"class": "FixedPoint", "width": 10**9, "integer": 0, "signed": True}), "1 to 32"),
    "a codec of one bit": (tensor(codec={"class": "Binary"}), "a word does not fit into 1 bits"),
    "an unknown codec": (tensor(codec={"class": "Posit", "width": 8}), "holds a 'Posit'"),
    "a huge shape": (tensor(shape=[10**6, 10**6]), "has shape (18,), expected (1000000000000,)"),
    "a negative shape": (tensor(shape=[-6, -3]), "sizes are 0 or more"),
    "a broken shape": (tensor(shape=[1.5, 12]), "describes no network"),
    "another input": (
        inside(inputs=[{"name": "x", "shape": [10**15, 6], "dtype": "float32"}]),
        "does not hold the network",
    ),
    "a negative input": (inside(inputs=[x_of(-6)]), "has the shape (-6,)"),
    "a type of objects": (
        inside(inputs=[{"name": "x", "shape": [6], "dtype": "object"}]),
        "'x' of object; allowed are float32, ",
    ),
    "escapes": (inside(name="\x1b[2J"), "has a name '\\x1b[2J'"),
    "escapes in a node": (node(0, name="a\nb"), "has a name 'a\\nb'"),
    "a hidden turn": (inside(outputs=["relu\u202e"]), "printable"),
    "a long name": (inside(name="x" * 10**5), "up to 1,000"),
    "a number as a name": (inside(name=5), "has a name"),
    "no outputs": (inside(outputs=[], output_names=[]), "needs inputs, and a name"),
    "an output that is not there": (inside(outputs=["nowhere"]), "output 'nowhere' is no node"),
    "other samples": (lambda h: h["golden"].update(inputs=[0]), "do not fit the network's inputs"),
    "no samples": (lambda h: h["golden"].update(inputs=[]), "do not fit the network's inputs"),
    "no outputs of samples": (lambda h: h["golden"].update(outputs=[]), "cannot be computed"),
    "a bomb of brackets": (lambda header: b"[" * 10**6, "damaged or no network file"),
    "a long number": (lambda header: b'{"version":' + b"9" * 10**4 + b"}", "damaged or no network file"),
    "NaN": (lambda header: b'{"version": NaN}', "holds NaN, which JSON has not"),
    "not UTF-8": (lambda header: b"\xff\xfe", "damaged or no network file"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_was_not_written_is_refused(case: str, damage: Damage) -> None:
    change, text = HEADERS[case]
    refused(damage.header(change), text)


def test_huge_shapes_are_refused_before_memory_is_taken(damage: Damage, monkeypatch: pytest.MonkeyPatch) -> None:
    giant = small(
        nodes=(
            fn.Node("r", fn.Reshape((2, 3)), ("x",)),
            fn.Node("relu", fn.ZeroPadding(((0, 10**12),)), ("r",)),
        ),
        constants={},
    )
    monkeypatch.setattr(file, "_require_affordable", lambda *_: None)
    monkeypatch.setattr(fn.Network, "__call__", lambda *_: [np.zeros((4, 3), np.float32)])
    write_network(giant, damage.path)
    monkeypatch.undo()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(damage.path, "more than this machine has or a network needs")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**19  # kB


GIANTS = {
    "padding": fn.ZeroPadding(((0, 10**12),)),
    "repetition": fn.Repeat((10**12,)),
    "a dilated window": fn.Convolution("k", (1,), "same", (10**12,)),
    "a causal window": fn.Convolution("k", (1,), "causal", (10**12,)),
    "a wide pool": fn.MaxPool((10**12,), (1,), "same"),
}


@pytest.mark.parametrize("case", GIANTS)
def test_a_network_that_takes_the_memory_is_not_computed(case: str, tmp_path: Path) -> None:
    giant = small(
        inputs=(fn.Input("x", (4, 6)),),
        nodes=(fn.Node("relu", GIANTS[case], ("x",)),),
        constants={"k": np.ones((2, 6, 1), np.float32)},
    )
    with pytest.raises(ModelError, match="more than this machine has or a network needs"):
        write_network(giant, tmp_path / "m.fkn")
    assert not list(tmp_path.iterdir())


BROKEN = {
    "a stride of zero": fn.Convolution("k", (0,), "same", (1,)),
    "a negative stride": fn.Convolution("k", (-1,), "same", (1,)),
    "a negative window": fn.MaxPool((-2,), (1,), "valid"),
    "negative padding": fn.ZeroPadding(((-9, 0),)),
    "no repetition": fn.Repeat((0,)),
    "a negative reshape": fn.Reshape((-4, -6)),
    "axes of another": fn.Permute((0, 7)),
    "no axis": fn.Concatenate(5),
    "no group": fn.Convolution("k", (1,), "same", (1,), groups=0),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_operation_that_does_not_fit_is_refused_by_name(case: str) -> None:
    with pytest.raises(ModelError, match=r"node 'relu' \("):
        small(
            inputs=(fn.Input("x", (4, 6)),),
            nodes=(fn.Node("relu", BROKEN[case], ("x",)),),
            constants={"k": np.ones((2, 6, 1), np.float32)},
        )


CONSTANT, WORDS, SCALE, INPUTS, OUTPUTS = range(5)
ARRAYS = {
    "words of the wrong width": (WORDS, np.full(18, 200, np.uint8), "a word does not fit into 5 bits"),
    "words of floats": (WORDS, np.zeros(18, np.float32), "words are unsigned integers"),
    "words of another number": (WORDS, np.zeros(17, np.uint8), "has shape (17,), expected (18,)"),
    "a scale of NaN": (SCALE, np.array([[np.nan, 1, 1]], np.float32), "NaN"),
    "an infinite scale": (SCALE, np.array([[np.inf, 1, 1]], np.float32), "no finite number"),
    "another scale": (SCALE, np.array([[3, 1, 1]], np.float32), "does not hold the network that it was written with"),
    "a constant of NaN": (CONSTANT, np.array([np.nan, 0, 0], np.float32), "NaN"),
    "a constant of integers": (CONSTANT, np.zeros(3, np.int32), "int32"),
    "objects": (CONSTANT, np.array([{}, 1, 2], object), "allowed are plain numbers"),
    "texts": (CONSTANT, np.array(["a", "b", "c"]), "allowed are plain numbers"),
    "other outputs": (OUTPUTS, np.zeros((4, 3), np.float32), "output 'y' of its samples is not what the file says"),
    "outputs of NaN": (OUTPUTS, np.full((4, 3), np.nan, np.float32), "output 'y' of its samples is not"),
}


def test_the_numbers_of_the_arrays_above(damage: Damage) -> None:
    with np.load(damage.path) as arrays:
        assert [arrays[f"array{number}"].shape for number in range(5)] == [(3,), (18,), (1, 3), (4, 6), (4, 3)]


@pytest.mark.parametrize("case", ARRAYS)
def test_an_array_that_was_not_written_is_refused(case: str, damage: Damage) -> None:
    number, array, text = ARRAYS[case]
    path = damage.array(number, array, digest=array.dtype.kind not in "OU")
    refused(path, text)


def test_an_array_without_its_digest_is_refused_by_name(damage: Damage) -> None:
    refused(damage.array(WORDS, np.zeros(18, np.uint8), digest=False), "array1.npy has another digest than was written")


def test_an_array_that_is_missing_or_no_array_is_refused(damage: Damage) -> None:
    with zipfile.ZipFile(damage.path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    refused(damage.members({**members, "array0.npy": b"nothing"}), "array0.npy is damaged")
    short = members["array0.npy"][:-3]
    refused(damage.members({**members, "array0.npy": short}), "array0.npy is damaged")
    refused(damage.members({k: v for k, v in members.items() if k != "array0.npy"}), "array0.npy is missing")
    refused(damage.members({k: v for k, v in members.items() if k != "network.json"}), "is no network file")


def test_a_bomb_is_refused_before_it_is_unpacked(damage: Damage) -> None:
    with zipfile.ZipFile(damage.path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    refused(damage.members({**members, "array9.npy": bytes(2**28)}), "more than a file of this size may")
    refused(damage.members({**members, "network.json": bytes(2**27)}), "network.json takes 134,217,728 bytes")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.fkn", Path("/dev/null")):
        with pytest.raises(InputError, match=r"network file .* (is a directory|does not exist|is no regular file)"):
            read_network(path)
    text = tmp_path / "text.fkn"
    text.write_text("hello")
    refused(text, "damaged or no network file")


def test_thousands_of_nodes_are_read_in_their_time(tmp_path: Path) -> None:
    nodes = [fn.Node("n0", fn.Relu(), ("x",))]
    nodes += [fn.Node(f"n{i}", fn.Relu(), (f"n{i - 1}",)) for i in range(1, 5000)]
    deep = small(nodes=tuple(nodes), outputs=("n4999",))
    write_network(deep, tmp_path / "deep.fkn")
    assert read_network(tmp_path / "deep.fkn").digest == deep.digest


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    for wrong in (
        small(constants={"offset": np.full(3, np.nan, np.float32)}),
        small(name="\x1b[2J"),
    ):
        with pytest.raises(ModelError):
            write_network(wrong, tmp_path / "m.fkn")
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_model_than_stands_beside_it_is_refused(tmp_path: Path) -> None:
    model, path = tmp_path / "m.h5", tmp_path / "m.fkn"
    model.write_bytes(b"one")
    write_network(small(), path, source=file_digest(model))
    require_source_unchanged(path)
    model.write_bytes(b"two")
    with pytest.raises(ModelError, match=r"another m\.h5 than stands beside .*export .*m\.h5 --output .*m\.fkn"):
        require_source_unchanged(path)
    (tmp_path / "m.keras").write_bytes(b"one")
    require_source_unchanged(path)  # it is this one's
    model.unlink()
    (tmp_path / "m.keras").unlink()
    require_source_unchanged(path)
