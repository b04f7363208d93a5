"""Open MPI's algorithm is forced by the names of the runtime that is installed, and what cannot be forced is refused."""

import re
import subprocess
from pathlib import Path

import pytest

from bench import mpi_algorithms
from bench.compose import compose
from bench.config import BenchConfig
from bench.launch.mpirun import find_mpirun, forced_environment
from bench.launch.resolve import resolve
from bench.mpi_algorithms import NOTHING_WITHOUT_SEGMENTS, SEGMENTED, TUNED, carried_out
from tests.processes import LINERATE, only_run, run
from tests.test_launch import OPENMPI
from tests.test_mpirun import script

LISTING = [
    f"mca:coll:tuned:param:coll_tuned_{name}_algorithm:enumerator:value:{number}:{value}"
    for name, known in TUNED.values()
    for number, value in enumerate(["ignore", *known.values()])
]


def test_every_algorithm_is_one_that_the_installed_open_mpi_lists() -> None:
    lister = Path(find_mpirun()).with_name("ompi_info")
    if not lister.exists():
        pytest.skip("this MPI is not Open MPI")
    command = [str(lister), "--param", "coll", "tuned", "--level", "9", "--parsable"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for collective, (name, known) in TUNED.items():
        for algorithm in known:
            segment_bytes = 4096 if algorithm in NOTHING_WITHOUT_SEGMENTS else None
            forced = mpi_algorithms.environment(algorithm, segment_bytes, [collective])
            mpi_algorithms.check_known(forced, listed)
        pattern = rf"^mca:coll:tuned:param:coll_tuned_{name}_algorithm:enumerator:value:\d+:(\S+)$"
        theirs = re.findall(pattern, listed, re.MULTILINE)
        assert set(theirs) - {"ignore", "two_proc"} == set(known.values()), "none of theirs is missing here"
    for collective, algorithms in SEGMENTED.items():
        assert set(algorithms) <= set(TUNED[collective][1])


def test_the_variables_are_those_of_the_collectives_alone() -> None:
    config = compose(["collectives=[all_reduce,all_gather,send_recv]", "mpi.algorithm=recursive_doubling"])
    assert config.mpi.environment(config.collectives) == {
        "OMPI_MCA_coll": "^han,adapt,hcoll,ucc,xhc,acoll",
        "OMPI_MCA_coll_tuned_use_dynamic_rules": "1",
        "OMPI_MCA_coll_tuned_allreduce_algorithm": "recursive_doubling",
        "OMPI_MCA_coll_tuned_allgather_algorithm": "recursive_doubling",
    }
    segmented = compose(["collectives=broadcast", "mpi={algorithm: pipeline, segment_bytes: 64KiB}"])
    forced = segmented.mpi.environment(segmented.collectives)
    assert forced["OMPI_MCA_coll_tuned_bcast_algorithm_segmentsize"] == "65536"
    assert compose([]).mpi.environment(["all_reduce"]) == {}
    assert BenchConfig.from_json(segmented.to_json()) == segmented


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        (["collectives=all_reduce", "mpi.algorithm=rinq"], ["mpi.algorithm", "rinq", "ring, segmented_ring"]),
        (
            ["collectives=[all_reduce,all_to_all]", "mpi.algorithm=ring"],
            ["all_to_all", "linear, linear_sync"],
        ),
        (["collectives=send_recv", "mpi.algorithm=ring"], ["chooses no algorithm for send_recv"]),
        (["collectives=all_reduce", "mpi.algorithm=segmented_ring"], ["mpi.segment_bytes", "1MiB"]),
        (["collectives=all_reduce", "mpi.segment_bytes=1MiB"], ["mpi.segment_bytes", "mpi.algorithm"]),
        (["collectives=all_reduce", "mpi={algorithm: ring, segment_bytes: 1MiB}"], ["cuts nothing"]),
        (["collectives=all_reduce", "mpi={algorithm: ring, segment_bytes: 0}"], ["mpi.segment_bytes is 0"]),
        (["collectives=all_to_all", "mpi.algorithm=bruck", "placement=both"], ["all_to_all in place"]),
        (["collectives=all_reduce", "mpi.algorithm=ring", "passes=[overlap]"], ["passes=[overlap]"]),
        (
            ["collectives=all_reduce", "mpi.algorithm=ring", "algorithms.all_reduce=[persistent]"],
            ["algorithms.all_reduce"],
        ),
    ],
)
def test_what_cannot_be_forced_is_one_sentence(overrides: list[str], names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"mpi\.") as caught:
        compose(overrides)
    assert all(name in str(caught.value) for name in names), caught.value


@pytest.mark.parametrize(
    ("overrides", "environ", "names"),
    [
        (["launcher=local", "backend=gloo"], {}, ["backend is gloo", "backend=mpi"]),
        (["launcher=local"], {}, ["backend is gloo", "backend=mpi"]),
        (["backend=mpi"], OPENMPI, ["OMPI_MCA_coll_tuned_allreduce_algorithm=ring"]),
    ],
)
def test_ranks_that_would_not_follow_are_refused(
    overrides: list[str], environ: dict[str, str], names: list[str]
) -> None:
    config = compose(["collectives=all_reduce", "mpi.algorithm=ring", "device=cpu", *overrides])
    with pytest.raises(ValueError, match=r"mpi\.algorithm") as caught:
        resolve(config, environ)
    assert all(name in str(caught.value) for name in names), caught.value


def stand_in(folder: Path, says: str, listing: list[str] | None) -> str:
    """An mpirun that only knows its version, and ompi_info beside it."""
    if listing is not None:
        info = folder / "ompi_info"
        (folder / "listing").write_text("\n".join(listing))
        info.write_text(f"#!/bin/sh\ncat '{folder}/listing'\n")
        info.chmod(0o755)
    return str(script(folder, f"echo '{says}'"))


def test_an_mpi_that_would_not_follow_is_refused(tmp_path: Path) -> None:
    config = compose(["collectives=all_reduce", "mpi.algorithm=rabenseifner"])
    with pytest.raises(ValueError, match=r"is not Open MPI's.*linerate\[mpi\]"):
        forced_environment(config, stand_in(tmp_path, "HYDRA build details:", None), {})
    with pytest.raises(ValueError, match="no ompi_info beside"):
        forced_environment(config, stand_in(tmp_path, "mpirun (Open MPI) 5.0.11", None), {})
    older = [line for line in LISTING if not line.endswith("rabenseifner")]
    with pytest.raises(ValueError, match=r"no 'rabenseifner'.*it has ignore, basic_linear"):
        forced_environment(config, stand_in(tmp_path, "mpirun (Open MPI) 3.0.0", older), {})
    mpirun = stand_in(tmp_path, "mpirun (Open MPI) 5.0.11", LISTING)
    assert forced_environment(config, mpirun, {}) == config.mpi.environment(["all_reduce"])
    with pytest.raises(ValueError, match="OMPI_MCA_coll is '\\^tuned' in the environment"):
        forced_environment(config, mpirun, {"OMPI_MCA_coll": "^tuned"})
    assert forced_environment(compose([]), "/nowhere/mpirun", {}) == {}, "nothing is asked, so nothing is run"


@pytest.mark.parametrize(
    ("asked", "num_ranks", "num_elements", "ran"),
    [
        (("all_reduce", "ring"), 4, 4, "ring"),
        (("all_reduce", "ring"), 4, 3, "recursive_doubling"),
        (("all_reduce", "segmented_ring"), 4, 4096, "segmented_ring"),
        (("all_reduce", "segmented_ring"), 4, 4095, "ring"),
        (("all_reduce", "segmented_ring"), 4, 1, "recursive_doubling"),
        (("all_reduce", "rabenseifner"), 5, 4, "rabenseifner"),
        (("reduce", "rabenseifner"), 5, 3, "linear"),
        (("all_gather", "recursive_doubling"), 8, 1, "recursive_doubling"),
        (("all_gather", "recursive_doubling"), 6, 1, "bruck"),
        (("all_gather", "neighbor_exchange"), 5, 1, "ring"),
        (("broadcast", "scatter_allgather"), 3, 2, "linear"),
        (("all_to_all", "bruck"), 3, 2, "bruck"),
    ],
)
def test_what_gives_way_to_another_algorithm(
    asked: tuple[str, str], num_ranks: int, num_elements: int, ran: str
) -> None:
    found = carried_out(*asked, num_ranks=num_ranks, num_elements=num_elements, segment_elements=1024)
    assert found == ran
    assert ran in TUNED[asked[0]][1]


def test_an_algorithm_is_forced_over_shared_memory_too(tmp_path: Path) -> None:
    """Ranks say what they were told; the data are checked as ever."""
    command = [*LINERATE, "launcher=local", "backend=mpi", "launcher.num_ranks=3", "mpi.algorithm=bruck"]
    small = [
        "collectives=[all_to_all,all_gather]",
        "algorithms.all_to_all=[native]",
        "sizes.list_bytes=[48KiB]",
    ]
    status, said = run([*command, *small, "timing.num_iterations=3"], tmp_path)
    assert status == 0, said
    manifest, summary = only_run(tmp_path)
    assert set(summary["num_wrong_elements"]) == {0} and len(summary) == 2
    assert manifest.config["mpi"]["algorithm"] == "bruck"


def test_a_refusal_reaches_the_user_before_ranks_start(tmp_path: Path) -> None:
    command = [*LINERATE, "launcher=local", "backend=mpi", "collectives=all_reduce", "mpi.algorithm=ring"]
    status, said = run(command, tmp_path, OMPI_MCA_coll_tuned_use_dynamic_rules="0")
    assert status == 2 and said.count("\n") == 1
    assert "OMPI_MCA_coll_tuned_use_dynamic_rules is '0'" in said
    assert not list(tmp_path.glob("runs/*"))
