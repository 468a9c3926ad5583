"""Traces of links: their clock, their parts, the made ones and the readers of recorded ones."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from netgpt_bench.link_emulator import CUT_MBIT, Trace, point
from netgpt_bench.link_traces import FAMILIES, STEPS, made_traces, read_folder

from netgpt.errors import RequestError

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "network"


def trace(*rates: float) -> Trace:
    return Trace("test", "t", [point(at, rate, rate / 4, rtt_ms=20) for at, rate in enumerate(rates)], len(rates))


def downs(one: Trace) -> list[float]:
    return [(p.down.rate_mbit or 0.0) if p.open else 0.0 for p in one.points]


def test_a_trace_begins_again_at_its_end() -> None:
    one = trace(1, 2, 3)
    assert one.at(0).down.rate_mbit == one.at(3.5).down.rate_mbit == 1
    assert one.at(2.9).down.rate_mbit == 3
    times = [at for at, _ in islice(one.schedule(start_s=1.5), 5)]
    assert times == [0.0, 0.5, 1.5, 2.5, 3.5]
    assert [at for at, _ in one.schedule(loop=False)] == [0, 1, 2]


def test_a_part_has_its_own_clock() -> None:
    part = trace(1, 2, 3, 4).part(1.5, 2)
    assert [(p.at_s, p.down.rate_mbit) for p in part.points] == [(0.0, 2), (0.5, 3), (1.5, 4)]
    assert part.length_s == 2


def test_the_liveliest_part_is_where_the_rate_moves() -> None:
    one = trace(*([5] * 20), 5, 0.1, 5, 0, 5, *([5] * 20))
    assert 15 <= one.liveliest(10, 1) <= 21


def test_a_rate_near_nothing_is_a_cut() -> None:
    assert not point(0, CUT_MBIT / 2, 0, rtt_ms=20).open
    low = point(0, CUT_MBIT, 0, rtt_ms=20)
    assert low.open and low.up.rate_mbit == CUT_MBIT


def test_made_links_are_seeded_and_whole() -> None:
    one, other = made_traces(30, 1), made_traces(30, 1)
    assert one == other != made_traces(30, 2)
    for made in one:
        assert made.length_s == 30 and made.points[0].at_s == 0
        assert all(0 <= p.down.loss < 0.2 for p in made.points)
    assert [p.open for p in STEPS.points] == [True, True, False, True]


def test_a_download_with_a_long_silence_is_cut_and_a_player_is_not(tmp_path: Path) -> None:
    head = "trace,activity,mobility,t_s,speed_kmh,network,rsrp,rsrq,snr,cqi,dl_kbps,ul_kbps,state,ping_avg_ms\n"
    rates = [0, 8000, 0, 8000, 0, 0, 0, 0, 4000]
    networks = ["5G"] * 8 + ["LTE"]
    rows = [f"{name},{kind},D,{at},0,{net},,,,,{rate},1,D,{90 if at == 1 else ''}\n"
            for name, kind in (("d", "D"), ("p", "A"))
            for at, (rate, net) in enumerate(zip(rates, networks, strict=True))]  # fmt: skip
    (tmp_path / "5g_ucc_x.csv").write_text(head + "".join(rows))
    download, player = read_folder(tmp_path)
    assert downs(download) == [8, 8, 8, 8, 0, 0, 0, 0, 4]
    assert downs(player) == [8, 8, 8, 8, 8, 8, 8, 8, 8]
    assert [p.down.delay_ms for p in download.points][:3] == [25, 45, 45]
    assert download.points[8].down.loss > FAMILIES["5G"].loss == download.points[7].down.loss


def test_the_other_tables_are_read(tmp_path: Path) -> None:
    (tmp_path / "bw_mixed_x.csv").write_text(
        "family,trace,t_s,mbps\nhsdpa3g,a,0.0,1.0\nhsdpa3g,a,2.5,0.01\nfcc,b,7,3.0\nfcc,b,8,2\n"
    )
    (tmp_path / "starlink_autobahn_x.csv").write_text(
        "timestamp,dl_mbps,ul_mbps,lat,lng,speed_kmh\n2024-04-19 16:23:00,17,12,1,2,3\n2024-04-19 16:23:02,,,1,2,3\n"
    )
    slow, fixed, satellite = read_folder(tmp_path)
    assert (slow.family, fixed.family, satellite.family) == ("3G", "fixed", "satellite")
    assert downs(slow) == [1.0, 0.0] and slow.points[0].up.rate_mbit == 0.25
    assert [p.at_s for p in fixed.points] == [0, 1]
    assert downs(satellite) == [17, 0] and satellite.length_s == 3


def test_a_folder_without_links_or_with_another_table_says_so(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no recorded links"):
        read_folder(tmp_path)
    (tmp_path / "bw_mixed.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RequestError, match="not the table"):
        read_folder(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not RECORDED.is_dir(), reason=f"the recorded links are not at {RECORDED}")
def test_the_recorded_links_are_all_read() -> None:
    found = read_folder(RECORDED)
    assert {one.family for one in found} == {"3G", "4G", "5G", "fixed", "satellite"}
    assert len(found) == 274
    for one in found:
        times = [p.at_s for p in one.points]
        assert times == sorted(times) and times[0] == 0 and times[-1] < one.length_s
        assert sum(not p.open for p in one.points) < len(times) / 10
