"""A user's hls4ml configuration: read, respected, and what it stores beside what protection costs."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

import fkeras
import fkeras.hls4ml
from fkeras.engines.hls4ml.causes import rounded
from fkeras.engines.hls4ml.precision import FixedType, of_bits, type_before, type_of_data
from fkeras.engines.hls4ml.project import read_project
from fkeras.engines.hls4ml.setup import hls4ml, parser, quiet
from fkeras.faults import FaultSet
from fkeras.protection import Mask
from fkeras.protection.exports import words_headers
from fkeras.protection.word_tables import stored_ones
from fkeras.rtl import rtl_check, weight_memory

CONFIG = {
    "Backend": "Vitis",
    "IOType": "io_parallel",
    "HLSConfig": {"Model": {"Precision": {"default": "fixed<24,10>"}, "ReuseFactor": 2, "Strategy": "Resource"}},
}
REPORT = """<profile><UserAssignments><TargetClockPeriod>5.00</TargetClockPeriod></UserAssignments>
<PerformanceEstimates><SummaryOfTimingAnalysis><EstimatedClockPeriod>3.9</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><Best-caseLatency>11</Best-caseLatency><Worst-caseLatency>12</Worst-caseLatency>
<Interval-min>2</Interval-min><Interval-max>2</Interval-max></SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources><BRAM_18K>4</BRAM_18K><DSP>7</DSP><FF>900</FF><LUT>1200</LUT></Resources>
<AvailableResources><BRAM_18K>100</BRAM_18K><DSP>100</DSP><FF>9000</FF><LUT>9000</LUT></AvailableResources>
</AreaEstimates></profile>"""


@pytest.fixture
def directory(tmp_path):
    """A project as hls4ml leaves it, synthesized."""
    text = yaml.safe_dump(CONFIG) + "KerasModel: !keras_model my/model.keras\n"
    (tmp_path / "hls4ml_config.yml").write_text(text)
    (tmp_path / "project.tcl").write_text('set project_name "myproject"\nset backend "vitis"\n')
    report = tmp_path / "myproject_prj/solution1/syn/report"
    report.mkdir(parents=True)
    (report / "myproject_csynth.xml").write_text(REPORT)
    (tmp_path / "myproject_prj/hls.app").write_text(
        '<project xmlns="x"><solutions><solution name="solution1"/></solutions></project>'
    )
    return tmp_path


def test_a_directory_its_yaml_and_a_dict_are_one_project(directory):
    read = [read_project(source) for source in (directory, directory / "hls4ml_config.yml", CONFIG)]
    assert len({project.digest for project in read}) == 1
    assert read[0].config["HLSConfig"] == CONFIG["HLSConfig"]
    other = {**CONFIG, "IOType": "io_stream"}
    assert read_project(other).digest != read[0].digest
    assert read_project(CONFIG["HLSConfig"]).config["HLSConfig"] == CONFIG["HLSConfig"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "cannot be read as YAML"),
        ("- 1\n- 2", "is no hls4ml configuration; it holds list"),
        ("Backend: Vitis", r"is no hls4ml configuration; it has the keys Backend, and needs HLSConfig with Model"),
        ("HLSConfig: {Model: {ReuseFactor: 1}}", "states no Precision"),
        (
            "Backend: Quartus\nHLSConfig: {Model: {Precision: 'fixed<16,6>'}}",
            "backend Quartus; fkeras reads projects of Vivado, .*, Libero, Catapult: set Backend to",
        ),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, message):
    file = tmp_path / "config.yml"
    file.write_text(text)
    with pytest.raises(fkeras.InputError, match=message):
        read_project(file)


def test_code_in_a_yaml_is_not_run(tmp_path):
    file = tmp_path / "config.yml"
    file.write_text(
        "HLSConfig: {Model: {Precision: 'fixed<16,6>'}}\nKerasModel: !!python/object/apply:os.system ['touch ran']\n"
    )
    assert set(read_project(file).config) == {"HLSConfig", "Backend"}
    assert not (tmp_path / "ran").exists()


def test_the_projects_precisions_strategy_and_reuse_factor_are_respected(tiny, directory):
    storage = fkeras.hls4ml.storage(tiny, directory, fkeras.bit_space(tiny, biases=True))
    assert [(one.path, one.stored) for one in storage] == [
        ("d1/kernel", True), ("d1/bias", False), ("d2/kernel", False), ("d2/bias", False),
    ]  # fmt: skip
    assert storage[0].why == "block RAM: strategy resource, reuse factor 2"
    assert storage[1].why == "constants: biases are partitioned completely"
    # hls4ml takes the closest reuse factor that divides the layer, and says so to nobody who does not read its log.
    assert storage[2].why == "constants: strategy resource with reuse factor 1 reads all of them at once"


@pytest.mark.parametrize(
    ("model", "stored", "why"),
    [
        ({"Strategy": "Latency", "ReuseFactor": 4}, False, "constants: strategy latency"),
        ({"ReuseFactor": 1}, False, "constants: strategy latency"),
        ({"Strategy": "Latency", "BramFactor": 10, "ReuseFactor": 1}, True, "external memory"),
    ],
)
def test_what_is_stored_at_all(tiny, model, stored, why):
    (first, _) = fkeras.hls4ml.storage(tiny, {"Model": {"Precision": "fixed<24,10>", **model}})
    assert (first.stored, first.why[: len(why)]) == (stored, why)


def test_the_table_has_words_protection_and_hls4mls_own_numbers(tiny, directory):
    space = fkeras.bit_space(tiny)
    table = fkeras.hls4ml.resources(tiny, project=directory, protected=[0, 1, 6, 125])
    first, second = table.rows
    assert (first.variable, first.type, first.n_words, first.n_bits) == ("w3", "fixed<6,2>", 20, 120)
    assert (first.protected_bits, first.extra_bits, first.overhead) == (3, 6, 0.05)
    assert (second.protected_bits, second.extra_bits) == (1, 2)
    assert (first.strategy, first.reuse_factor, first.multipliers) == ("resource", 2, 10)
    assert (second.reuse_factor, second.multipliers) == (1, 15)
    assert table.synthesis["CSynthesisReport"]["BRAM_18K"] == "4"
    text = str(table)
    assert f"NOT STORED: 90 of {len(space)} bits (d2/kernel: constants" in text
    assert "BestLatency 11" in text
    assert "configuration memory" in text
    unsynthesized = fkeras.hls4ml.resources(tiny, project=CONFIG)
    assert unsynthesized.synthesis == {}
    assert "synthesis: the project has no report" in str(unsynthesized)


def test_recoded_weights_in_hls4mls_order_read_as_its_words(tiny, directory):
    space = fkeras.bit_space(tiny)
    guard = fkeras.Recoded().on(space)
    order = fkeras.hls4ml.order(tiny, project=directory, space=space)
    moved = fkeras.hls4ml.reordered(stored_ones(guard), tiny, project=directory, space=space)
    plain = fkeras.hls4ml.reordered(stored_ones(fkeras.KnownWords().on(space)), tiny, project=directory, space=space)
    for patterns, words, reading in zip(moved.words(), plain.words(), guard.readings, strict=True):
        assert (reading.constants[patterns] == words).all()
    header = next(iter(words_headers(guard, moved).values()))
    assert "Patterns in the order of hls4ml's weight files." in header
    assert order.tensors[0].variable in header


def test_masks_in_hls4mls_order_protect_the_same_bits(tiny, directory, tmp_path):
    space = fkeras.bit_space(tiny)
    chosen = np.random.default_rng(0).choice(len(space), 40, replace=False)
    mask = Mask.of(fkeras.BitSet(chosen, space.layout_digest), space)
    moved = fkeras.hls4ml.reordered(mask, tiny, project=directory)
    order = fkeras.hls4ml.order(tiny, project=directory)
    assert [one.path for one in moved.tensors] == ["d1/w3", "d2/w6"]
    assert (order.tensors[0].elements != np.arange(20)).any()
    for tensor, words, array in zip(mask.tensors, mask.words(), moved.words(), strict=True):
        held = order.tensors[[one.path for one in order.tensors].index(tensor.path)]
        assert array.tolist() == words[held.elements].tolist()
    paths = fkeras.hls4ml.write_masks(moved, tmp_path / "masks")
    assert sorted(path.name for path in paths) == ["d1_mask.h", "d2_mask.h", "protection.csv", "protection.json"]
    assert fkeras.read_mask(tmp_path / "masks/protection.json").digest == moved.digest
    other = Mask.of(fkeras.BitSet([0]), fkeras.bit_space(tiny, layers="d1"))
    with pytest.raises(fkeras.LayoutError, match="was made for a memory of layout"):
        fkeras.hls4ml.reordered(other, tiny)


def test_types_of_data_and_of_inputs_in_front_of_a_quantizer():
    assert type_of_data(np.arange(256) / 256) == FixedType(10, 2, True, "RND_CONV", "SAT")
    assert type_of_data(np.array([-3.0, 5.0])).integer == 4
    assert type_of_data(np.array([0.1], np.float32)).fraction == 28
    before = type_before(FixedType(8, 1, False, "RND_CONV", "SAT"))
    assert str(before) == "fixed<35,3,TRN,SAT>"


@pytest.mark.parametrize("signed", [True, False])
def test_a_type_in_front_of_a_quantizer_changes_nothing_that_the_quantizer_gives(signed):
    quantized = FixedType(8, 1 + signed, signed, "RND_CONV", "SAT")
    rng = np.random.default_rng(0)
    ties = (rng.integers(-300, 300, 2000) + 0.5) * quantized.step
    near = np.concatenate([np.nextafter(np.float32(ties), np.float32(side)) for side in (-np.inf, np.inf)])
    x = np.concatenate([ties, near, rng.normal(size=2000), rng.normal(size=200) * 1e-9, [50.0, -50.0]]).astype(
        np.float32
    )
    assert rounded(rounded(x, type_before(quantized)), quantized).tolist() == rounded(x, quantized).tolist()


def test_fixed_types_print_and_parse():
    for text in ("fixed<8,2>", "ufixed<8,1,RND_CONV,SAT>", "fixed<20,9,TRN,SAT_SYM>"):
        assert str(FixedType.parse(text)) == text
    assert FixedType.parse("ap_fixed<16, 6, AP_RND, AP_SAT, 0>") == FixedType(16, 6, True, "RND", "SAT")
    assert FixedType.parse("uint<1>") == FixedType(1, 1, False)
    assert (of_bits(2, 4).lowest, of_bits(2, 4).highest, of_bits(2, 4).step) == (-2.0, 1.9375, 0.0625)
    with pytest.raises(fkeras.InputError, match="'float' is no fixed-point type"):
        FixedType.parse("float")


@pytest.mark.parametrize(("backend", "tool"), [("Libero", "SmartHLS"), ("catapult", "Catapult")])
def test_projects_of_other_tools_are_read_and_not_run(tiny, backend, tool):
    x = np.zeros((4, 4), np.float32)
    project = fkeras.hls4ml.config(tiny, x)
    for stated in (project["HLSConfig"]["Model"], project["HLSConfig"]["LayerName"]["d1"]):
        stated.update(Strategy="resource", ReuseFactor=4)
    for layer in project["HLSConfig"]["LayerName"].values():
        layer.pop("Strategy", None)
    project["Backend"] = backend
    order = fkeras.hls4ml.order(tiny, project=project)
    assert {held.variable for held in order.tensors} == {"w3", "w6"}
    storage = fkeras.hls4ml.storage(tiny, project)
    assert storage[0].why.startswith(f"memory or registers, as {tool} chooses: strategy resource, reuse factor")
    with pytest.raises(fkeras.InputError, match=rf"(?i)backend {backend}; fkeras runs .* Vivado, .* only"):
        fkeras.hls4ml.agreement(tiny, x, project=project)


LIBERO_REPORT = """====== 2. Timing Result ======
+--------------+---------------+-------------+-------------+----------+-------------+
| Clock Domain | Target Period | Target Fmax | Worst Slack | Period   | Fmax        |
+--------------+---------------+-------------+-------------+----------+-------------+
| clk          | 5.000 ns      | 200.000 MHz | 1.250 ns    | 3.750 ns | 266.667 MHz |
+--------------+---------------+-------------+-------------+----------+-------------+

====== 3. Resource Usage ======
+--------------------------+-------+--------+------------+
| Resource Type            | Used  | Total  | Percentage |
+--------------------------+-------+--------+------------+
| Fabric + Interface 4LUT* | 1,204 | 108600 | 1.11       |
| LSRAM                    | 4     | 352    | 1.14       |
+--------------------------+-------+--------+------------+
"""


def test_libero_projects_are_read_with_their_reports(tiny, tmp_path):
    (tmp_path / "hls4ml_config.yml").write_text(yaml.safe_dump({**CONFIG, "Backend": "Libero"}))
    assert "synthesis: the project has no report" in str(fkeras.hls4ml.resources(tiny, project=tmp_path))
    reports = tmp_path / "hls_output/reports"
    reports.mkdir(parents=True)
    (reports / "summary.results.rpt").write_text(LIBERO_REPORT)
    table = fkeras.hls4ml.resources(tiny, project=tmp_path)
    assert table.synthesis["Resource Usage"]["LSRAM"]["Used"] == "4"
    assert "Resource Usage: Fabric + Interface 4LUT* 1,204, LSRAM 4" in str(table)
    assert "Timing Result: Target Period 5.000 ns" in str(table)


def written_by_hls4ml(model, folder, backend, **more):
    """A project as its user makes it, in a folder."""
    with quiet():
        config = hls4ml().converters.create_config(str(folder), "tiny", backend, **more)
        graph = parser().keras_v2_to_hls({**config, **CONFIG, "Backend": backend, "KerasModel": model})
        graph.config.config.pop("KerasModel")
        graph.write()
    with (folder / "hls4ml_config.yml").open("a") as file:
        file.write("KerasModel: !keras_model keras_model.keras\n")  # as hls4ml refers to a model of Keras 3
    return folder


CATAPULT_REPORT = """-- Catapult Ultra Synthesis: Report
  Processes/Blocks in Design
    Process           Real Operation(s) count Latency Throughput Reset Length II Comments
    ----------------- ----------------------- ------- ---------- ------------ -- --------
    /myproject/core                        85     {0}         12            0  0
    Design Total:                          85     {0}         12            0  0

  Area Scores
                      Post-Scheduling   Post-DP & FSM Post-Assignment
    ----------------- --------------- --------------- ---------------
    Total Area Score:   1108.0          2161.9          2011.5
"""


def test_catapult_projects_are_read_with_their_newest_report(tiny, tmp_path):
    """In the directories that hls4ml writes, and Catapult makes by its build_prj.tcl."""
    project = written_by_hls4ml(tiny, tmp_path / "project", "Catapult", part="xcku115-flvb2104-2-i")
    script = (project / "build_prj.tcl").read_text()
    assert "project new -name tiny_prj" in script
    assert "set design_top tiny\n" in script
    assert "synthesis: the project has no report" in str(fkeras.hls4ml.resources(tiny, project=project))
    for number in ("9", "10"):
        solution = project / f"tiny_prj/tiny.v{number}"
        solution.mkdir(parents=True)
        (solution / "rtl.rpt").write_text(CATAPULT_REPORT.format(number))
    table = fkeras.hls4ml.resources(tiny, project=project)
    assert "tiny_prj/tiny.v10/rtl.rpt: Latency 10, Throughput 12, Total Area Score 2011.5" in str(table)
    assert table.rows[0].why == "memory or registers, as Catapult chooses: strategy resource, reuse factor 2"
    (solution / "rtl.rpt").write_text(CATAPULT_REPORT[:100])
    with pytest.raises(fkeras.InputError, match=r"v10/rtl.rpt: has no line 'Design Total:'.*take it away to go on"):
        fkeras.hls4ml.resources(tiny, project=project)


@pytest.mark.parametrize(("backend", "tool"), [("Libero", "SmartHLS"), ("Catapult", "Catapult")])
def test_ports_that_hls4ml_does_not_write_are_refused(tiny, backend, tool):
    """`ARRAY_RESHAPE` and `INTERFACE bram` are comments in their templates; Libero has no weights from outside."""
    project = {**external(tiny, "Resource", d1=4, d2=5), "Backend": backend}
    for layer in project["HLSConfig"]["LayerName"].values():
        layer.pop("Strategy", None)  # that of the model: hls4ml 1.3 takes none by layer for Libero
    why = [each.why for each in fkeras.hls4ml.storage(tiny, project)]
    assert all(text.startswith("external memory") for text in why) == (backend == "Catapult")
    with pytest.raises(fkeras.InputError, match=rf"^backend {backend}: .*, {tool} decides; .* or leave out project="):
        fkeras.hls4ml.ports(tiny, project=project)


def external(model, strategy, **factors):
    project = fkeras.hls4ml.config(model, np.zeros((4, 4), np.float32))
    project["HLSConfig"]["Model"].update(Strategy=strategy, BramFactor=10)
    for name, reuse in factors.items():
        project["HLSConfig"]["LayerName"][name].update(Strategy=strategy, ReuseFactor=reuse)
    return project


def test_ports_are_rows_of_hls4mls_arrays(tiny, tmp_path):
    project = external(tiny, "Resource", d1=4, d2=5)
    space = fkeras.bit_space(tiny)
    ports = fkeras.hls4ml.ports(tiny, project=project, space=space)
    assert {path: (port.array, port.rows) for path, port in ports.items()} == {
        "d1/kernel": ("w3", 4),
        "d2/kernel": ("w6", 5),
    }
    order = fkeras.hls4ml.order(tiny, project=project, space=space)
    # hls4ml's MultLoop of row 1 multiplies w3[1], w3[1 + 4], ...
    assert ports["d1/kernel"].order[1] == [order.tensors[0].elements[place] for place in (1, 5, 9, 13, 17)]
    latency = fkeras.hls4ml.ports(tiny, project=external(tiny, "Latency"), space=space)
    assert latency["d1/kernel"].order == [[element] for element in range(20)]
    mask = Mask.of(fkeras.BitSet(np.arange(30)), space)
    mask.write_rtl(tmp_path, space, ports=ports)
    assert "module weights_d1_kernel_ram_6 (" in (tmp_path / "weights_d1_kernel.sv").read_text()
    assert "4 rows of 5 words" in (tmp_path / "README.md").read_text()


def test_what_simulated_block_ram_reads_gives_the_campaigns_numbers_in_the_projects_code(
    tiny, make, tmp_path, simulator
):
    project = external(tiny, "Resource", d1=4, d2=5)
    space, hits = fkeras.bit_space(tiny), fkeras.FlipCount(40, exposure_seconds=100)
    protected = [fkeras.SECDED(np.arange(60), 20), fkeras.TMR(np.arange(150, 200), 30, "itself")]
    weight_memory(protected, space, ports=fkeras.hls4ml.ports(tiny, project=project)).write(tmp_path / "rtl")
    checked = rtl_check(tmp_path / "rtl", faults=hits, trials=3, seed=3)
    assert checked.agrees
    (tmp_path / "project.yml").write_text(yaml.safe_dump(project))
    how = {"metric": "mean_squared_error", "engine": f"hls4ml:{tmp_path / 'project.yml'}", "space": space}
    data = make.data_for(tiny), np.random.default_rng(0).normal(size=(40, 3))
    result = fkeras.campaign(tiny, data, faults=hits, trials=3, seed=3, protected=protected, **how)
    run = fkeras.Study(tiny, data, how["metric"], space=space, engine=how["engine"]).run()
    for trial, value in enumerate(result.values):
        pairs = zip(checked.stores, space.tensors, strict=True)
        wrong = [np.array(store.read[trial]) ^ tensor.words for store, tensor in pairs]
        read = FaultSet(np.flatnonzero(np.concatenate(wrong)[:, None] >> np.arange(5, -1, -1) & 1))
        assert run.fault_sets([read])["mean_squared_error"].values[0].mean() == pytest.approx(value, rel=1e-12)
    assert len(set(result.values)) == 3


def test_words_that_are_not_read_from_outside_have_no_port(tiny):
    with pytest.raises(
        fkeras.InputError, match=r"'d1/kernel' is not read from outside \(constants: strategy latency\)"
    ):
        fkeras.hls4ml.ports(tiny, project=fkeras.hls4ml.config(tiny, np.zeros((4, 4), np.float32)))
