"""The example files for batch systems do what they say, their command lines run as the farm would run them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

FARM = Path(__file__).parents[2] / "docs" / "farm"
N_JOBS = 3

RECORDER = """#!/bin/bash
printf '%s\\0' "$@" >> {folder}/lines
printf '\\n' >> {folder}/lines
"""


@pytest.fixture
def farm(folder, monkeypatch):
    """The example files in the current folder with 3 jobs, and an `fkeras` on the path that notes how it was called."""
    for path in FARM.iterdir():
        text = path.read_text()
        (folder / path.name).write_text(re.sub(r"(of +=|--array=1-) ?40$", rf"\g<1>{N_JOBS}", text, flags=re.MULTILINE))
    shutil.copy("small.h5", "tagger.h5")
    shutil.copy("data.npz", "validation.npz")
    (folder / "bin").mkdir()
    (folder / "bin/fkeras").write_text(RECORDER.format(folder=folder))
    (folder / "bin/fkeras").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    return folder


def called(farm, command, **environment):
    """The command lines of fkeras that a program runs."""
    (farm / "lines").write_text("")
    subprocess.run(command, check=True, env={"PATH": f"{farm / 'bin'}:/usr/bin:/bin", **environment}, cwd=farm)
    return [line.strip("\0").split("\0") for line in (farm / "lines").read_text().splitlines()]


def slurm_jobs(farm):
    """What each job of the array runs."""
    text = (farm / "oracle.sbatch").read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", text, re.MULTILINE))
    first, last = map(int, options["array"].split("-"))
    for number in range(first, last + 1):
        variables = {
            "SLURM_ARRAY_TASK_ID": str(number),
            "SLURM_ARRAY_TASK_COUNT": str(last - first + 1),
            "SLURM_CPUS_PER_TASK": options["cpus-per-task"],
        }
        (line,) = called(farm, ["bash", "oracle.sbatch"], **variables)
        yield line


def condor_jobs(farm):
    """What each queued job runs, after the macros of HTCondor's manual ("Submitting a Job")."""
    text = (farm / "oracle.sub").read_text()
    settings = dict(re.findall(r"^(\w+) *= *(.*)$", text, re.MULTILINE))

    def expanded(value, process):
        value = re.sub(r"\$INT\((\w+)\)", lambda m: str(whole(expanded(settings[m[1]], process))), value)
        value = value.replace("$(Process)", str(process))
        return re.sub(r"\$\((\w+)\)", lambda m: expanded(settings[m[1]], process), value)

    (count,) = re.findall(r"^queue (.*)$", text, re.MULTILINE)
    for process in range(int(expanded(count, 0))):
        job = {name: expanded(value, process) for name, value in settings.items()}
        assert job["arguments"][0] == job["arguments"][-1] == '"'
        (line,) = called(farm, [job["executable"], *shlex.split(job["arguments"][1:-1])])
        assert {name.strip() for name in job["transfer_input_files"].split(",")} <= {*line}
        assert job["transfer_output_files"] == line[line.index("--store") + 1]
        yield line


def whole(sum_of_numbers):
    return sum(int(part) for part in sum_of_numbers.split("+"))


@pytest.mark.parametrize("jobs", [slurm_jobs, condor_jobs])
def test_jobs_and_a_merge_give_what_one_process_gives(farm, fkeras, jobs, monkeypatch):
    monkeypatch.setattr("fkeras.cli.studies.use_threads", lambda threads: None)
    lines = list(jobs(farm))
    assert [line[line.index("--shard") + 1] for line in lines] == ["1/3", "2/3", "3/3"]
    for line in lines:
        assert fkeras(*line).code == 0
    merge, read = called(farm, ["bash", "merge.sh"])
    assert merge == ["merge", "part1", "part2", "part3", "--into", "results"]
    assert fkeras(*merge).code == 0
    done = fkeras(*read)
    assert "72 of them read from the store" in done.out
    fkeras("oracle", "tagger.h5", "--data", "validation.npz", "--metric", "accuracy", "--json", "alone.json")
    assert (farm / "oracle.json").read_bytes() == (farm / "alone.json").read_bytes()


def test_the_dag_names_what_is_there(farm):
    text = (farm / "oracle.dag").read_text()
    assert re.findall(r"^JOB \w+ (\S+)$", text, re.MULTILINE) == ["oracle.sub"]
    assert re.findall(r"^SCRIPT POST \w+ (\S+)$", text, re.MULTILINE) == ["merge.sh"]
    assert (FARM / "merge.sh").stat().st_mode & 0o100


def test_the_merge_runs_also_when_a_job_was_lost():
    assert re.findall(r"--dependency=(\w+):", (FARM / "oracle.sbatch").read_text()) == ["afterany"]
    # DAGMan runs a POST script whether its job succeeded or failed, and what RETRY goes by is the script's exit code:
    # it would run all jobs again where only the merge failed. A job that fails is the submit file's to retry.
    dag = (FARM / "oracle.dag").read_text()
    assert "SCRIPT POST shards merge.sh" in dag
    assert "RETRY" not in dag
    assert re.search(r"^max_retries += 2$", (FARM / "oracle.sub").read_text(), re.MULTILINE)


def test_a_share_of_a_campaign_ends_with_0_and_the_whole_judges(folder, fkeras):
    line = ("campaign", "small.h5", "--data", "data.npz", "--metric", "mispredictions", "--faults", "60")
    line += ("--trials", "40", "--limit", "max_mispredictions=0.3", "--max-failure-rate", "0.01")
    for share in ("1/2", "2/2"):
        done = fkeras(*line, "--store", "s", "--shard", share)
        assert done.code == 0
        assert f"this is share {share}: the verdict comes from the same line without --shard" in done.out
        assert "FAIL" not in done.out
    whole = fkeras(*line, "--store", "s")
    assert whole.code == 1
    assert "FAIL" in whole.out
