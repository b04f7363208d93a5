"""What NCCL's log says: every form of its lines from 2.18 to 2.32, and what is not one. Hosts and addresses are made up."""

from pathlib import Path

import pytest

from bench import nccl_log
from bench.nccl_log import (
    NcclLog,
    chosen,
    environment_for_forcing,
    environment_for_logging,
    read_folder,
    read_log,
)

FLOAT = 7
"""Number of ncclFloat32."""


def info(message: str, process: str = "node-a:100") -> str:
    return f"{process}:101 [0] NCCL INFO {message}\n"


def call(
    function: str, count: int, num_ranks: int = 8, process: str = "node-a:100", comm: str = "0x5a10"
) -> str:
    return info(
        f"{function}: opCount 1f sendbuff 0x7f0000000000 recvbuff 0x7f0000100000 count {count} datatype {FLOAT} op 0 root 0 "
        f"comm {comm} [nranks={num_ranks}] stream 0x5a20",
        process,
    )


def joined(rank: int, num_ranks: int, process: str = "node-a:100", identity: str = "0xabc1") -> str:
    return info(
        f"ncclCommInitRank comm 0x5a10 rank {rank} nranks {num_ranks} cudaDev {rank} nvmlDev {rank} busId 1b000 "
        f"commId {identity} - Init COMPLETE",
        process,
    )


def named(function: str, num_bytes: int, algorithm: str = "RING", protocol: str = "SIMPLE") -> str:
    return info(
        f"{function}: {num_bytes} Bytes -> Algo {algorithm} proto {protocol} channel{{Lo..Hi}}={{0..23}}"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("AllReduce: 4096 Bytes -> Algo 0 proto 1 time 12.500000", "tree/ll128"),  # 2.23
        (
            "AllReduce: 4096 Bytes -> Algo NVLS_TREE proto SIMPLE channel{Lo..Hi}={0..15}",
            "nvls_tree/simple",
        ),  # 2.24
        (
            "AllReduce: 4096 Bytes -> Algo RING proto LL channel{Lo..Hi}={0..0} cgaClusterSize 4",
            "ring/ll",
        ),  # 2.31
        (
            "AllReduce [Symmetric]: 4096 Bytes -> Kernel AllReduce_AGxLL_R nchannels 1 nthreads 512",  # 2.27
            "symmetric/AllReduce_AGxLL_R",
        ),
        (
            "AllReduce [Symmetric]: 4096 Bytes -> Kernel AllReduce_AGxLL_R nchannels 1 nthreads 512 nWorks 1",  # 2.28
            "symmetric/AllReduce_AGxLL_R",
        ),
        (
            "AllReduce [Copy Engine]: 4096 Bytes -> cudaMemcpy; CE synchronization with NVLS",
            "copy_engine",
        ),  # 2.29
        ("AllReduce [Hierarchical CE]: 4096 Bytes -> RMA proxy + CE", "hierarchical_ce"),  # 2.30
        (
            "AllReduce: 4096 Bytes -> Algo NEWER proto OTHER channel{Lo..Hi}={0..1}",
            "newer/other",
        ),  # still NCCL's word
    ],
)
def test_every_form_of_a_choice_is_read(line: str, expected: str) -> None:
    log = read_log(info(line))
    assert chosen(log, "all_reduce", 4096) == expected
    assert log.num_garbled == 0
    assert chosen(log, "all_reduce", 8192) is None
    assert chosen(log, "reduce", 4096) is None


def test_a_choice_without_function_is_that_of_the_call_before_it() -> None:
    """2.20 to 2.22: the line names neither function nor ranks, and counts the larger buffer."""
    choice = info("32768 Bytes -> Algo 1 proto 2 time 42.250000")
    assert chosen(read_log(choice), "all_reduce", 32768) is None
    log = read_log(call("AllReduce", 1) + call("ReduceScatter", 1024) + choice)
    assert chosen(log, "reduce_scatter", 32768) == "ring/simple"
    assert chosen(log, "all_reduce", 32768) is None
    (found,) = log.choices
    assert found.predicted_time_s == pytest.approx(42.25e-6)
    assert (found.num_ranks, found.num_channels, found.message_bytes) == (8, None, 32768)


def test_the_time_of_a_fallback_is_none() -> None:
    """2.20 and 2.21 print the largest time they can think of where the choice was none of the model's."""
    log = read_log(call("AllReduce", 1024) + info("4096 Bytes -> Algo 1 proto 2 time 3600000000.000000"))
    assert log.choices[0].predicted_time_s is None and chosen(log, "all_reduce", 4096) == "ring/simple"


@pytest.mark.parametrize("collective", ["all_gather", "reduce_scatter"])
def test_the_share_of_a_rank_becomes_the_message(collective: str) -> None:
    """From 2.24 on the line counts one rank's share; a message of nccl-tests is the whole. Ranks from call, else from INIT."""
    function = {"all_gather": "AllGather", "reduce_scatter": "ReduceScatter"}[collective]
    choice = named(function, 4096)
    from_call = read_log(joined(0, 16) + call(function, 1024, num_ranks=8) + choice)
    assert chosen(from_call, collective, 8 * 4096) == "ring/simple"
    assert chosen(from_call, collective, 4096) is None
    from_init = read_log(joined(0, 16) + choice)
    assert chosen(from_init, collective, 16 * 4096) == "ring/simple"
    two_sizes = read_log(joined(0, 16) + joined(0, 4, identity="0xabc2") + choice)
    assert two_sizes.choices[0].message_bytes is None and chosen(two_sizes, collective, 16 * 4096) is None
    not_first = read_log(joined(3, 16) + choice)
    assert chosen(not_first, collective, 16 * 4096) is None, (
        "rank 0 writes the choice, so this is not its communicator"
    )


def test_before_2_24_the_line_counts_the_whole_message() -> None:
    log = read_log(
        call("AllGather", 1024, num_ranks=4) + info("AllGather: 16384 Bytes -> Algo 1 proto 2 time 9.0")
    )
    assert chosen(log, "all_gather", 16384) == "ring/simple"


def test_communicators_of_several_sizes_are_told_apart() -> None:
    text = (
        call("AllReduce", 1024, num_ranks=8, comm="0x1")
        + named("AllReduce", 4096)
        + call("AllReduce", 1024, num_ranks=2, comm="0x2")
        + named("AllReduce", 4096, "TREE", "LL")
    )
    log = read_log(text)
    assert chosen(log, "all_reduce", 4096) == "ring/simple or tree/ll"
    assert chosen(log, "all_reduce", 4096, num_ranks=8) == "ring/simple"
    assert chosen(log, "all_reduce", 4096, num_ranks=2) == "tree/ll"
    assert chosen(log, "all_reduce", 4096, num_ranks=4) is None


def test_sends_and_receives_have_no_choice() -> None:
    log = read_log(call("Send", 1024) + call("Recv", 1024))
    for collective in ("all_to_all", "send_recv", "gather", "scatter"):
        assert chosen(log, collective, 4096) is None


def test_lines_of_several_processes_may_alternate() -> None:
    a, b = "node-a:100", "node-b:100"
    text = (
        call("AllGather", 1024, num_ranks=8, process=a)
        + call("AllGather", 512, num_ranks=8, process=b)
        + info("AllGather: 4096 Bytes -> Algo RING proto LL channel{Lo..Hi}={0..1}", a)
        + call("AllGather", 1024, num_ranks=2, process=b)
        + info("AllGather: 4096 Bytes -> Algo PAT proto SIMPLE channel{Lo..Hi}={0..1}", b)
    )
    log = read_log(text)
    assert chosen(log, "all_gather", 8 * 4096) == "ring/ll"
    assert chosen(log, "all_gather", 2 * 4096) == "pat/simple"


def test_a_choice_made_a_thousand_times_is_kept_once() -> None:
    log = read_log((call("AllReduce", 1024) + named("AllReduce", 4096)) * 1000)
    assert len(log.choices) == 1 and log.num_garbled == 0


GARBLED = [
    info("AllReduce: 40").strip()
    + info("AllReduce: 4096 Bytes -> Algo RING proto LL channel{Lo..Hi}={0..1}"),
    "INFO AllReduce: 4096 Bytes -> Algo RING proto LL channel{Lo..Hi}={0..1}\n",
    info("AllReduce: 4096 Bytes -> Algo RING proto LL channel{Lo..Hi}={0.."),
    info("AllReduce: 4096 Bytes -> Algo RING"),
    info("AllReduce: 4096 Bytes -> Algo 9 proto 1 time 2.0"),
    info("AllReduce: 4096 Bytes -> Algo 1 proto 3 time 2.0"),
    info("AllReduce: -1 Bytes -> Algo 1 proto 1 time 2.0"),
    info("AllReduce: " + "9" * 40 + " Bytes -> Algo 1 proto 1 time 2.0"),
    info("AllReduce: opCount 3 sendbuff 0x7f00 recvbuff 0x7f01 count"),
    info("AllReduce: 4096 Bytes -> Algo RING proto LL channel{Lo..Hi}={0..1}" + " " * 5000),
]


@pytest.mark.parametrize("line", GARBLED)
def test_garbled_lines_are_counted_and_passed_over(line: str) -> None:
    log = read_log(line + named("AllReduce", 64))
    assert log.num_garbled == 1
    assert chosen(log, "all_reduce", 4096) is None and chosen(log, "all_reduce", 64) == "ring/simple"


def test_what_is_not_nccls_is_no_garbled_line() -> None:
    text = "step 3 loss 0.5\n\n" + "x" * 9999 + "\n" + info("  Algorithm   |   Tree |") + "NCCL INFO\n"
    log = read_log(text)
    assert log == NcclLog(
        version=None,
        communicators={},
        choices=(),
        transports=(),
        warnings=(),
        num_garbled=0,
        num_unread=0,
    )


@pytest.mark.parametrize(
    "line",
    [
        "NCCL version 2.27.3+cuda12.9\n",
        info("NCCL version 2.27.3+cuda12.9"),
        "0: NCCL version 2.27.3+cuda12.9\n",
    ],
)
def test_the_version_is_found_with_and_without_a_prefix(line: str) -> None:
    assert read_log(line).version == "2.27.3"


def test_prefixes_of_launchers_and_timestamps_do_not_matter() -> None:
    line = named("AllReduce", 4096)
    for prefix in ("12: ", "[1,12]<stdout>:", "[2026-01-02 03:04:05] "):
        assert chosen(read_log(prefix + line), "all_reduce", 4096) == "ring/simple", prefix


def test_communicators_are_counted_by_their_identity() -> None:
    """2.18 has no name before `comm`, 2.29 has the rank; ranks share a commId, a split communicator of 2.24 has none."""
    text = (
        info("comm 0x1 rank 0 nranks 8 cudaDev 0 nvmlDev 0 busId 1b000 commId 0xabc1 - Init START")
        + info(
            "[Rank 1] ncclCommInitRank comm 0x2 rank 1 nranks 8 cudaDev 1 nvmlDev 1 busId 2b000 commId 0xabc1 - Init COMPLETE",
            "node-a:200",
        )
        + info(
            "ncclCommSplit comm 0x3 rank 0 nranks 4 cudaDev 0 nvmlDev 0 busId 1b000 parent 0x1 splitCount 1 color 0 key 0- "
            "Init START"
        )
    )
    assert read_log(text).communicators == {"0xabc1": 8, "node-a:100:0x3": 4}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM/read", "P2P/CUMEM"),
        ("Channel 00/0 : 0[0] -> 1[1] via P2P/direct pointer", "P2P/direct pointer"),
        ("Channel 03 : 0[0] -> 1[1] via SHM/direct/direct", "SHM"),
        ("Channel 03 : 0[0] -> 1[1] via SHM/direct", "SHM"),
        ("Channel 00/0 : 7[7] -> 8[0] [send] via NET/IB/3/GDRDMA", "NET/IB/GDRDMA"),
        ("Channel 00/0 : 7[7] -> 8[0] [send] via NET/IB/3(5)/GDRDMA(PCI)/Shared", "NET/IB/GDRDMA"),
        ("Channel 00/0 : 7[7] -> 8[0] [receive] via NET/AWS Libfabric/0/Shared", "NET/AWS Libfabric"),
        ("Channel 00/0 : 7[7] -> 8[0] [receive] via NET/Socket/0", "NET/Socket"),
        ("CollNet 00/0 : 3 [send] via COLLNET/SHARP/0/GDRDMA", "COLLNET/SHARP/GDRDMA"),
        (
            "NVLS comm 0x5a10 headRank 0 nHeads 8 buffSize 1048576 nvlsPerRankSize 1 nvlsTotalSize 8",
            "NVLS",
        ),
    ],
)
def test_transports_are_named_without_channel_and_device(message: str, expected: str) -> None:
    assert read_log(info(message) * 2).transports == (expected,)


def test_warnings_of_all_versions_are_kept_once() -> None:
    text = (
        "\nnode-a:100:101 [0] misc/socket.cc:50 NCCL WARN connection refused\n"
        "\n[2026-01-02 03:04:05] node-b:9:9 [1] misc/socket.cc:51 (connectTo) NCCL WARN connection refused\n"
    )
    assert read_log(text).warnings == ("connection refused",)


def test_a_folder_is_read_as_one_log_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = joined(0, 8) + named("AllReduce", 64), named("AllReduce", 4096, "TREE", "LL")
    (tmp_path / "nccl.node-a.100.log").write_text(first)
    (tmp_path / "nccl.node-b.100.log").write_bytes(second.encode() + b"\xff\xfe\n")
    (tmp_path / "other.log").write_text(named("AllReduce", 128))
    log = read_folder(tmp_path)
    assert chosen(log, "all_reduce", 64) == "ring/simple" and chosen(log, "all_reduce", 4096) == "tree/ll"
    assert chosen(log, "all_reduce", 128) is None and log.num_unread == 0
    monkeypatch.setattr(nccl_log, "MAX_LOG_BYTES", len(first))
    cut = read_folder(tmp_path)
    assert chosen(cut, "all_reduce", 64) == "ring/simple" and chosen(cut, "all_reduce", 4096) is None
    assert cut.num_unread == len(second) + 3
    assert read_log(first + second).num_unread == len(second)


def test_logging_is_asked_for_where_the_user_asked_for_nothing(tmp_path: Path) -> None:
    wanted = environment_for_logging(tmp_path / "50%", {"PATH": "/bin"})
    assert wanted["NCCL_DEBUG"] == "INFO"
    assert {"INIT", "COLL", "TUNING"} <= set(wanted["NCCL_DEBUG_SUBSYS"].split(","))
    assert wanted["NCCL_DEBUG_FILE"] == f"{tmp_path}/50%%/nccl.%h.%p.log", "NCCL expands a single % itself"


def test_what_the_user_set_is_never_returned(tmp_path: Path) -> None:
    assert environment_for_logging(tmp_path, {"NCCL_DEBUG": "WARN"}) == {}
    for name in ("NCCL_DEBUG_SUBSYS", "NCCL_DEBUG_FILE"):
        wanted = environment_for_logging(tmp_path, {name: "mine"})
        assert name not in wanted and wanted["NCCL_DEBUG"] == "INFO"


def test_the_environment_of_this_process_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    assert environment_for_logging(tmp_path) == {}


def test_forcing_names_algorithm_and_protocol_as_nccl_does() -> None:
    assert environment_for_forcing("nvls_tree", None) == {"NCCL_ALGO": "NVLSTree"}
    assert environment_for_forcing(None, "ll128") == {"NCCL_PROTO": "LL128"}
    assert environment_for_forcing("tree", "simple", collective="all_reduce") == {
        "NCCL_ALGO": "allreduce:Tree",
        "NCCL_PROTO": "allreduce:Simple",
    }
    assert environment_for_forcing(None, None) == {}


@pytest.mark.parametrize(
    ("algorithm", "protocol", "collective", "words"),
    [
        ("butterfly", None, None, ("butterfly", "ring")),
        ("ring", "fast", None, ("fast", "ll128")),
        ("tree", None, "all_gather", ("tree", "all_gather", "pat")),
        ("pat", None, "all_reduce", ("pat", "all_reduce", "nvls_tree")),
        ("nvls", "ll", None, ("ll", "nvls", "simple")),
        ("ring", None, "all_to_all", ("all_to_all", "all_reduce")),
    ],
)
def test_forcing_the_impossible_says_what_is_possible(
    algorithm: str, protocol: str | None, collective: str | None, words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError) as raised:
        environment_for_forcing(algorithm, protocol, collective=collective)
    assert all(word in str(raised.value) for word in words), raised.value


def test_what_is_forced_is_what_is_read_back() -> None:
    """Names in both directions: an algorithm that is forced appears in the log under the name that forced it."""
    for algorithm in ("tree", "ring", "collnet_direct", "collnet_chain", "nvls", "nvls_tree"):
        name = environment_for_forcing(algorithm, "simple", collective="all_reduce")["NCCL_ALGO"].partition(
            ":"
        )[2]
        for spelled in (name, algorithm.upper()):  # NCCL_ALGO's spelling, and that of its log
            assert (
                chosen(read_log(named("AllReduce", 64, spelled)), "all_reduce", 64) == f"{algorithm}/simple"
            )
