"""Files, numbers and names that cannot be used: each a message of ours with a remedy, and nothing left behind."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fkeras.cli import Parser, faults_and_limits
from fkeras.errors import InputError
from fkeras.frontends.qkeras.setup import tensorflow

X = np.linspace(-1, 1, 24 * 4, dtype=np.float32).reshape(24, 4)
Y = np.arange(24) % 2
DATA = ("--data", "data.npz", "--metric", "mispredictions")
EMD = ("--data", "charges.npz", "--metric", "emd", "--geometry", "geometry.npz")
PROTECT = ("protect", "small.h5")
ENDURANCE = ("endurance", "small.h5", *DATA)
ORACLE = ("oracle", "small.h5", *DATA, "--json", "out.json")


def oracle_on(data="data.npz", metric="mispredictions", model="small.h5", **more):
    """An oracle with something else in one place."""
    options = [word for name, value in more.items() for word in (f"--{name}", value)]
    return ("oracle", model, "--data", data, "--metric", metric, *options, "--json", "out.json")


def emd_on(data="charges.npz", geometry="geometry.npz"):
    return oracle_on(data, "emd", geometry=geometry)


def campaign_of(*more):
    return ("campaign", "small.h5", *DATA, *more, "--json", "out.json")


def saved(name="bad.npz", **arrays):
    return lambda folder: np.savez(folder / name, **arrays)


def written(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def cut(source, length, name):
    return lambda folder: (folder / name).write_bytes((folder / source).read_bytes()[:length])


def model_of(make_layer, name="bad.h5"):
    """A model around one layer that is not quantized, or brings code along."""

    def save(folder):
        keras = tensorflow().keras
        inputs = keras.Input((4,))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            keras.Model(inputs, make_layer(keras.layers)(inputs)).save(folder / name)

    return save


def overwritten(name, start):
    def damage(folder):
        content = bytearray((folder / "small.h5").read_bytes())
        content[start : start + 400] = b"\xff" * 400
        (folder / name).write_bytes(content)

    return damage


def huge_npz(folder):
    """An archive whose array claims 8 TB, and holds 8 bytes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 1)})
    with zipfile.ZipFile(folder / "bad.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue() + b"\0" * 8)
        archive.writestr("y.npy", header.getvalue() + b"\0" * 8)


def bomb_npz(folder):
    """An archive whose directory claims that an array unpacks to 2**62 bytes."""
    with zipfile.ZipFile(folder / "bad.npz", "w") as archive:
        for name in ("x.npy", "y.npy"):
            archive.writestr(name, b"0" * 100)
    content = (folder / "bad.npz").read_bytes()
    # Sizes in the central directory: the field at offset 24 of each entry; 0xFFFFFFFE is 4 GiB, below the zip64 mark.
    spot, patched = content.find(b"PK\x01\x02"), bytearray(content)
    while spot >= 0:
        patched[spot + 24 : spot + 28] = struct.pack("<I", 0xFFFFFFFE)
        spot = content.find(b"PK\x01\x02", spot + 1)
    (folder / "bad.npz").write_bytes(patched)


def nested_json(folder):
    (folder / "deep.json").write_text("[" * 200_000)


def pickled(folder):
    """An array of objects that would make a file when it is unpickled."""

    class Bomb:
        def __reduce__(self):
            return os.system, ("touch exploded",)

    objects = np.empty(24, object)
    objects[:] = [Bomb()] * 24
    np.savez(folder / "bad.npz", x=X, y=objects)


def nothing(folder):
    pass


CASES = {
    # model files
    "no model file": (nothing, oracle_on(model="none.h5"), "model file none.h5 does not exist"),
    "model is a directory": (lambda f: (f / "d.h5").mkdir(), oracle_on(model="d.h5"), "is a directory; allowed are"),
    "model is empty": (written("e.h5", b""), oracle_on(model="e.h5"), "e.h5: is no model file; allowed are a .h5"),
    "model is text": (written("t.h5", b"hello" * 99), oracle_on(model="t.h5"), "is no model file; allowed are"),
    "model cut short": (cut("small.h5", 3000, "c.h5"), oracle_on(model="c.h5"), "is damaged: .*save the model again"),
    "model with a damaged middle": (
        overwritten("m.h5", 2048),
        oracle_on(model="m.h5"),
        "is damaged or no model file|cannot be loaded",
    ),
    "model is an npz": (nothing, oracle_on(model="data.npz"), "is damaged or no model file.*allowed are"),
    "json nested to death": (
        nested_json,
        (*oracle_on(model="deep.json"), "--weights", "small.h5"),
        "is damaged or no model file",
    ),
    "json of something else": (
        written("list.json", b"[1, 2]"),
        (*oracle_on(model="list.json"), "--weights", "small.h5"),
        "describes no model",
    ),
    "architecture without weights": (
        written("m.json", json.dumps({"class_name": "Functional", "config": {}}).encode()),
        oracle_on(model="m.json"),
        "an architecture has no weights; pass --weights 'file.h5'",
    ),
    "float-only model": (
        model_of(lambda layers: layers.Dense(2)),
        oracle_on(model="bad.h5"),
        "has no quantized kernel.*quantize it with QKeras",
    ),
    "model without weights": (
        model_of(lambda layers: layers.ReLU()),
        oracle_on(model="bad.h5"),
        "has no quantized kernel.*it has no weights at all",
    ),
    "model with a Lambda layer": (
        model_of(lambda layers: layers.Lambda(lambda t: t * 2.0, name="twice")),
        oracle_on(model="bad.h5"),
        r"holds code \(Lambda layer 'twice'\).*pass --trust",
    ),
    "a fifo for a model": (lambda f: os.mkfifo(f / "p.h5"), oracle_on(model="p.h5"), "is no regular file"),
    # data
    "no data file": (nothing, oracle_on("none.npz"), "none.npz does not exist"),
    "data is a directory": (lambda f: (f / "d.npz").mkdir(), oracle_on("d.npz"), r"is no \.npz file; write it with"),
    "data is empty": (written("bad.npz", b""), oracle_on("bad.npz"), r"is no \.npz file; write it with numpy.savez"),
    "data cut short": (cut("data.npz", 300, "bad.npz"), oracle_on("bad.npz"), r"is no \.npz file"),
    "data without y": (saved(x=X), oracle_on("bad.npz"), "has no array 'y'; it holds x, needed are x and y"),
    "data in capitals": (saved(X=X, Y=Y), oracle_on("bad.npz"), "has no array 'x'; it holds X, Y"),
    "no samples": (saved(x=X[:0], y=Y[:0]), oracle_on("bad.npz"), r"'x' has shape \(0, 4\); at least one sample"),
    "a number for x": (saved(x=np.float32(1), y=Y), oracle_on("bad.npz"), r"'x' has shape \(\); at least one sample"),
    "fewer targets": (saved(x=X, y=Y[:7]), oracle_on("bad.npz"), "x has 24 samples, y has 7; there must be one"),
    "wrong shape of x": (saved(x=X[:, :3], y=Y), oracle_on("bad.npz"), r"shape \(24, 3\); the model expects"),
    "x with one axis": (saved(x=X[:, 0], y=Y), oracle_on("bad.npz"), r"shape \(24,\); the model expects"),
    "NaN in x": (saved(x=np.where(X > 0.9, np.nan, X), y=Y), oracle_on("bad.npz"), "are NaN or infinite; clean"),
    "infinite x": (saved(x=np.where(X > 0.9, np.inf, X), y=Y), oracle_on("bad.npz"), "are NaN or infinite; clean"),
    "x of text": (saved(x=X.astype(str), y=Y), oracle_on("bad.npz"), "'x' holds <U.*allowed are real numbers"),
    "complex x": (saved(x=X + 1j, y=Y), oracle_on("bad.npz"), "'x' holds complex.*allowed are real numbers"),
    "dates for y": (saved(x=X, y=Y.astype("M8[s]")), oracle_on("bad.npz"), "'y' holds datetime64.*real numbers"),
    "pickled y": (pickled, oracle_on("bad.npz"), "'y' holds Python objects, which are never unpickled"),
    "an array of 8 TB": (huge_npz, oracle_on("bad.npz"), "'x' is damaged|more than this machine's memory"),
    "an archive that lies": (bomb_npz, oracle_on("bad.npz"), "is damaged|more than this machine's memory"),
    "float classes": (saved(x=X, y=Y + 0.5), oracle_on("bad.npz"), "class targets are float64.*astype"),
    "classes out of range": (saved(x=X, y=Y + 5), oracle_on("bad.npz"), "class target 5 in row 0 is out of range"),
    "wrong shape of y": (
        saved(x=X, y=np.zeros((24, 3))),
        oracle_on("bad.npz", "mean_squared_error"),
        r"targets have shape \(24, 3\), outputs \(24, 2\)",
    ),
    "NaN in y": (
        saved(x=X, y=np.full((24, 2), np.nan)),
        oracle_on("bad.npz", "mean_squared_error"),
        "targets are not finite in row 0.*remove or repair",
    ),
    "more samples than there are": (nothing, oracle_on(samples="25"), "--samples 25: data.npz has 24; ask for"),
    # metrics and geometry
    "unknown metric": (nothing, oracle_on(metric="f1"), "--metric f1: allowed are accuracy, .* and emd"),
    "EMD without geometry": (nothing, oracle_on(metric="emd"), "--metric emd needs --geometry FILE.npz"),
    "geometry without EMD": (nothing, oracle_on(geometry="geometry.npz"), "does not use; leave it out"),
    "geometry without coordinates": (saved(x=X), emd_on(geometry="bad.npz"), "no array 'coordinates'; it holds x"),
    "one coordinate": (saved(coordinates=np.zeros((2, 1))), emd_on(geometry="bad.npz"), r"needed are .*\(n_cells, 2\)"),
    "cells in one place": (saved(coordinates=np.zeros((2, 2))), emd_on(geometry="bad.npz"), "lie in one place"),
    "NaN coordinates": (
        saved(coordinates=np.array([[0, 0], [np.nan, 1]])),
        emd_on(geometry="bad.npz"),
        "coordinates are not finite for cell 1",
    ),
    "other number of cells": (
        saved(coordinates=np.arange(6.0).reshape(3, 2)),
        emd_on(geometry="bad.npz"),
        "outputs have 2 elements per sample but there are 3 cells",
    ),
    "cells beyond the output": (
        saved(coordinates=np.arange(4.0).reshape(2, 2), cell_of_output=np.array([0, 9])),
        emd_on(geometry="bad.npz"),
        "cells= names output element 9, but outputs have 2",
    ),
    "negative mass": (
        saved(x=X, y=np.tile([[1.0, -1.0]], (24, 1))),
        emd_on("bad.npz"),
        "a negative charge in row 0.*charges >= 0",
    ),
    "no mass": (saved(x=X, y=np.zeros((24, 2))), emd_on("bad.npz"), "no charge at all in row 0"),
    # choices
    "unknown engine": (nothing, oracle_on(engine="warp"), "--engine 'warp'; allowed are auto, cpu, gpu, framework"),
    "layers that are not there": (nothing, oracle_on(layers="conv*"), r"no layer matches 'conv\*'; the model has"),
    "an empty glob": (nothing, oracle_on(layers=""), "allowed are a glob such as 'conv"),
    "bits backwards": (nothing, oracle_on(bits="9:3"), "a range of bits is written START:STOP"),
    "bits beyond the memory": (nothing, oracle_on(bits="0:73"), "--bits 0:73: the memory has 72 bits; allowed are"),
    "no threads": (nothing, oracle_on(threads="0"), "--threads: '0'; allowed are whole numbers from 1"),
    "unknown ranking": (nothing, ("rank", "small.h5", "--method", "stars"), "no ranking method is called 'stars'"),
    "ranking without what it needs": (
        nothing,
        ("rank", "small.h5", "--method", "hessian"),
        "method 'hessian' needs x, y, loss: pass --data FILE; without",
    ),
    "metric without data": (nothing, ("inspect", "small.h5", "--metric", "accuracy"), "needs --data FILE.npz"),
    # budgets
    "no fault": (nothing, campaign_of(), "one of the arguments --faults --ber .* is required"),
    "two fault models": (nothing, campaign_of("--faults", "3", "--ber", "0.1"), "not allowed with argument"),
    "negative faults": (nothing, campaign_of("--faults=-1"), "--faults: '-1'; allowed are whole numbers from 1"),
    "half a fault": (nothing, campaign_of("--faults", "2.5"), r"--faults: '2\.5'; allowed are whole numbers"),
    "more faults than bits": (nothing, campaign_of("--faults", "73"), "73 distinct faults do not fit .* 72 bits"),
    "faults beyond counting": (nothing, campaign_of("--faults", str(10**30)), "allowed are whole numbers from 1 to"),
    "a number of 10,000 digits": (nothing, campaign_of("--faults", "9" * 10_000), r"'9+\.\.\.'; allowed are whole"),
    "faults in words": (nothing, campaign_of("--faults", "many"), "'many'; allowed are whole numbers"),
    "digits of another script": (nothing, campaign_of("--faults", "\u0663"), "allowed are whole numbers"),
    "no trials": (nothing, campaign_of("--faults", "1", "--trials", "0"), "--trials: '0'; allowed are whole numbers"),
    "trials for years": (
        nothing,
        campaign_of("--faults", "1", "--trials", str(10**15)),
        "trials is 1000000000000000; allowed are whole numbers from 1 to 100,000,000",
    ),
    "ber above 1": (nothing, campaign_of("--ber", "1.5"), r"'1\.5'; allowed are finite numbers from 0 to 1"),
    "ber that is none": (nothing, campaign_of("--ber", "nan"), "'nan'; allowed are finite numbers from 0 to 1"),
    "rate without time": (nothing, campaign_of("--upsets-per-second", "1"), "--exposure-seconds S belong together"),
    "upsets beyond counting": (
        nothing,
        campaign_of("--upsets-per-second", "1e300", "--exposure-seconds", "1"),
        "upsets",
    ),
    "limit without number": (nothing, campaign_of("--faults", "1", "--limit", "max_emd"), "a limit is written max_NA"),
    "limit of nan": (nothing, campaign_of("--faults", "1", "--limit", "max_emd=nan"), "a limit is written max_NAME="),
    "limit on another metric": (
        nothing,
        campaign_of("--faults", "1", "--limit", "max_emd=1"),
        "no metric 'emd'; there are mispredictions",
    ),
    "limit that decides nothing": (
        nothing,
        campaign_of("--faults", "1", "--limit", "max_mispredictions=5", "--allow-chance"),
        "can never be broken: mispredictions lies between 0 and 1",
    ),
    "limit that decides nothing, of so many trials": (
        nothing,
        campaign_of("--faults", "1", "--trials", "3", "--limit", "max_mispredictions=5", "--allow-chance"),
        "can never be broken: mispredictions lies between 0 and 1",
    ),
    "the same limit twice": (
        nothing,
        campaign_of("--faults", "1", "--limit", "max_mispredictions=0.4", "--limit", "max_mispredictions=0.5"),
        "names one keyword twice",
    ),
    "confidence of certainty": (
        nothing,
        campaign_of("--faults", "1", "--limit", "max_mispredictions=0.4", "--confidence", "1"),
        "--confidence is 1.0; allowed are numbers from 0.5 up to, not including, 1",
    ),
    "more protected than stored": (
        nothing,
        campaign_of("--faults", "1", "--protected", "73"),
        "--protected 73: the memory has 72 bits",
    ),
    "110 % protected": (nothing, campaign_of("--faults", "1", "--protected", "110%"), "a share of them up to 100%"),
    "a seed that is none": (nothing, campaign_of("--faults", "1", "--seed", "x"), "--seed: 'x'; allowed are whole"),
    # where results go
    "json into a missing folder": (nothing, (*ORACLE[:-1], "no/such/out.json"), "there is no folder no/such; make it"),
    "json onto a folder": (lambda f: (f / "d").mkdir(), (*ORACLE[:-1], "d"), "is a directory; name a file in it"),
    "json below a file": (nothing, (*ORACLE[:-1], "data.npz/o.json"), "there is no folder data.npz|cannot be written"),
    "json with a name too long": (nothing, (*ORACLE[:-1], "o" * 400), "cannot be written.*[nN]ame too long"),
    "json into the kernel": (nothing, (*ORACLE[:-1], "/proc/out.json"), "cannot be written"),
    "json with a zero byte": (nothing, (*ORACLE[:-1], "o\0.json"), "cannot be written.*null"),
    # names
    "name with a newline": (nothing, oracle_on(model="a\nb.h5"), "model file a\nb.h5 does not exist"),
    "name with an escape": (nothing, oracle_on(model="a\x1b[31mred.h5"), r"a\\x1b\[31mred.h5 does not exist"),
    "name of shell words": (nothing, oracle_on(model="$(touch exploded); `touch exploded`.h5"), "does not exist"),
    "name with a dash": (cut("small.h5", None, "-s.h5"), ("oracle", "-s.h5", *DATA), r"-s.h5 is named \./-s.h5 here"),
    "name with dots": (nothing, oracle_on(model="../../../../nowhere/small.h5"), "does not exist"),
    "name in unicode": (nothing, oracle_on(model="\u0442\U0001f9e0.h5"), "\u0442\U0001f9e0.h5 does not exist"),
    "name too long": (nothing, oracle_on(model="m" * 5000), "cannot be opened|does not exist|name too long"),
    "name with a zero byte": (nothing, oracle_on(model="a\0b.h5"), "null|does not exist"),
    # many machines
    "share zero": (nothing, (*ORACLE, "--store", "s", "--shard", "0/4"), "--shard '0/4'; allowed are '1/4', '2/4'"),
    "share five of four": (nothing, (*ORACLE, "--store", "s", "--shard", "5/4"), "--shard '5/4'; allowed are '1/4'"),
    "share in letters": (nothing, (*ORACLE, "--store", "s", "--shard", "a/b"), "--shard 'a/b'; allowed are '1/4'"),
    "share without store": (nothing, (*ORACLE, "--shard", "1/4"), "--shard 1/4 needs --store DIR"),
    "share of an open end": (
        nothing,
        campaign_of("--faults", "1", "--limit", "max_mispredictions=0.9", "--store", "s", "--shard", "1/2"),
        "a campaign that ends when it is decided cannot be shared out; give --trials",
    ),
    "store is a file": (nothing, (*ORACLE, "--store", "data.npz"), "a store is a folder|is no store"),
    "store in a file": (nothing, (*ORACLE, "--store", "data.npz/s"), "a store is a folder; name another path"),
    "store among other files": (
        lambda f: ((f / "s").mkdir(), (f / "s/thesis.tex").write_text("!")),
        (*ORACLE, "--store", "s"),
        "s is no store: it holds thesis.tex.*name a new or empty folder",
    ),
    "unknown executor": (nothing, (*ORACLE, "--executor", "cloud:9"), "allowed are processes:N .* dask:ADDRESS"),
    "no process": (nothing, (*ORACLE, "--executor", "processes:0"), "allowed are processes:N with N from 1"),
    "merge of nothing": (nothing, ("merge", "none", "--into", "s"), "none does not exist .*; name a store"),
    "merge of a file": (nothing, ("merge", "data.npz", "--into", "s"), "data.npz"),
    "merge to nowhere": (nothing, ("merge", "none"), "arguments are required: --into"),
    # masks
    "no mask": (nothing, campaign_of("--faults", "1", "--mask", "none.json"), "none.json does not exist"),
    "a foreign mask": (
        written("m.json", b'{"bits": [1]}'),
        campaign_of("--faults", "1", "--mask", "m.json"),
        "is no protection mask.*write it with `fkeras protect`",
    ),
    "scrubbing of nothing": (
        nothing,
        campaign_of("--faults", "1", "--protected", "1", "--scrub-interval-seconds", "9"),
        "--scrub-interval-seconds goes with --under tmr, secded, parity, blind-scrubbing, range-check, known-words or ",
    ),
    "blind scrubbing from itself": (
        nothing,
        campaign_of("--faults", "1", "--protected", "1", "--under", "blind-scrubbing", "--scrub-from", "itself"),
        "--scrub-from goes with --under tmr, secded, range-check, known-words or recoded",
    ),
    "blind scrubbing, never": (
        nothing,
        campaign_of("--faults", "1", "--protected", "1", "--under", "blind-scrubbing"),
        "say how often bits are written anew, as in --scrub-interval-seconds 60",
    ),
    "from itself, never": (
        nothing,
        campaign_of("--faults", "1", "--protected", "1", "--under", "tmr", "--scrub-from", "itself"),
        "--scrub-from 'itself' says nothing without --scrub-interval-seconds; give it too",
    ),
    "two codes at once": (
        nothing,
        campaign_of("--faults", "1", "--protected", "1", "--under", "tmr,secded"),
        "'tmr,secded'; allowed are one of immune, tmr, secded, parity, blind-scrubbing, one of range-check",
    ),
    "a free check and a stated one": (
        nothing,
        (*PROTECT, "--free", "--under", "known-words"),
        "--free chooses the check of all words; leave known-words out of --under",
    ),
    "a free check of a size": (nothing, (*PROTECT, "--free", "--bits", "3"), "and no size"),
    "protection of nothing": (nothing, campaign_of("--faults", "1", "--under", "tmr"), "--protected K or --mask FILE"),
    "a share without its %": (nothing, (*PROTECT, "--share", "32"), "'32'; allowed are shares from 0 to 1, as in"),
    "a confidence above 1": (
        nothing,
        campaign_of("--faults", "1", "--confidence", "950%"),
        "--confidence: '950%'; allowed are shares from 0 to 1",
    ),
    "JSON to a dash": (nothing, ("inspect", "small.h5", "--json", "-"), "results are written to a file; name one"),
    "two sizes": (nothing, (*PROTECT, "--bits", "3", "--share", "9%"), "not allowed with argument"),
    "no size": (nothing, PROTECT, "how many bits. give --bits, --share or --overhead"),
    "too large a size": (nothing, (*PROTECT, "--bits", "73"), "73; allowed are whole numbers from 0 to 72"),
    "a limit that no mask can keep": (
        nothing,
        (*PROTECT, *DATA, "--faults", "3", "--limit", "max_mispredictions=0.01", "--store", "s"),
        "small.h5: the golden model breaks max_mispredictions=0.01 already, its mispredictions is 0.",
    ),
    "mask onto a file": (nothing, (*PROTECT, "--bits", "3", "--output", "data.npz"), "is a file; name a fol"),
    "mask into a missing folder": (nothing, (*PROTECT, "--bits", "3", "--output", "a/b"), "no folder a; make"),
    "models of two layouts": (nothing, (*PROTECT, "wide.h5", "--bits", "3"), "belongs to a memory of layout"),
    # endurance
    "looks in words": (nothing, (*ENDURANCE, "--looks", "1,x"), "'x'; allowed are finite numbers"),
    "more flips than bits": (nothing, (*ENDURANCE, "--max-flips", "999"), "72"),
    "to survive what": (nothing, (*ENDURANCE, "--min-survived", "9"), "--min-survived needs --limit"),
    # reports
    "no report": (nothing, ("report", "none.json"), "none.json cannot be read.*written by pytest --fkeras-json"),
    "report of something else": (written("r.json", b'{"a": 1}'), ("report", "r.json"), "states no schema; this"),
    "report in NaN": (written("r.json", b'{"a": NaN}'), ("report", "r.json"), "is no JSON .*NaN is no JSON number"),
    "report of bytes": (written("r.json", b"\xff\xfe\x00"), ("report", "r.json"), "cannot be read"),
    "report nested to death": (written("r.json", b"[" * 200_000), ("report", "r.json"), "is no JSON"),
    "comparison with an oracle": (
        written("o.json", b'{"schema": "fkeras-oracle/1"}'),
        ("compare", "o.json", "o.json"),
        "has schema 'fkeras-oracle/1'; this version reads",
    ),
    "tolerance in words": (nothing, ("compare", "a", "b", "--fail=emd"), "'emd' is no tolerance; write METRIC:AMOUNT"),
    # the line itself
    "no command": (nothing, (), "COMMAND"),
    "unknown command": (nothing, ("destroy",), "invalid choice: 'destroy'"),
    "abbreviated option": (nothing, ("oracle", "small.h5", "--dat", "data.npz", "--metric", "emd"), "--data"),
    "unknown option": (nothing, (*ORACLE, "--forced"), "unrecognized arguments: --forced"),
}  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    # What TensorFlow traces it keeps in files of its own until the process ends.
    paths = [path for path in folder.rglob("*") if not path.name.startswith("__autograph_generated_file")]
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in paths}


@pytest.mark.parametrize("name", CASES)
def test_malformed(folder, fkeras, name, monkeypatch):
    prepare, line, message = CASES[name]
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # what Python keeps of a user's module is Python's
    prepare(folder)
    before = contents(folder)
    done = fkeras(*line)
    assert done.code == 2
    assert done.out.strip() in ("", "seed 0")
    assert done.err.startswith("fkeras: ")
    assert re.search(message, done.err, re.DOTALL), done.err
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err
    assert contents(folder) == before


WITH_STORE = [
    name
    for name, (_, line, _) in CASES.items()
    if line[:1] in (("oracle",), ("campaign",)) and "--data" in line and not {"--store", "--shard"} & {*line}
]


@pytest.mark.parametrize("name", WITH_STORE)
def test_a_store_is_not_made_for_them(folder, fkeras, name):
    prepare, line, message = CASES[name]
    prepare(folder)
    done = fkeras(*line, "--store", "s")
    assert done.code == 2
    assert re.search(message, done.err, re.DOTALL), done.err
    assert not (folder / "s").exists()


def test_a_ranking_that_cannot_be_made_leaves_no_store(folder, fkeras):
    saved(x=np.where(X > 0.9, np.nan, X), y=Y)(folder)
    line = ("campaign", "small.h5", "--data", "bad.npz", "--metric", "mispredictions", "--faults", "1")
    done = fkeras(*line, "--protected", "3", "--store", "s")
    assert done.code == 2
    assert "are NaN or infinite; clean" in done.err
    assert not (folder / "s").exists()


def test_there_are_enough_of_them():
    assert len(CASES) >= 60


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--faults", "0"), "allowed are whole numbers from 1 up"),
        (("--ber", "0"), "--ber 0: nothing is ever hit, so nothing could fail"),
        (("--upsets-per-second", "0", "--exposure-seconds", "9"), "--upsets-per-second 0: nothing is ever hit"),
        (("--upsets-per-bit-second", "1", "--exposure-seconds", "0"), "--exposure-seconds 0: nothing is ever hit"),
    ],
)
def test_faults_that_never_come_are_refused(option, said):
    parser = Parser()
    faults_and_limits.add_faults(parser, required=True)
    with pytest.raises(InputError, match=said):
        faults_and_limits.faults(parser.parse_args(option))
