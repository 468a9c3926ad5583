"""The box: this machine's own files, and given ones of other machines and containers."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from patience import until

from netgpt.routing.signals import Signals
from netgpt.routing.system import Confines, SystemSampler, SystemWatch, pressure

GROUP = "kubepods/pod1/box"


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


class Machine:
    """Given files in place of /proc and /sys."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.system = folder / "proc", folder / "sys"
        self.mounted = self.system / "fs" / "cgroup"
        self.group = self.mounted / GROUP
        write(self.proc / "self", cgroup=f"0::/{GROUP}\n")
        write(self.mounted, cgroup__controllers="cpu memory\n")
        write(self.group, cpu__max="max 100000\n", memory__max="max\n", cpu__stat="usage_usec 0\n")
        self.now = 0.0

    def confines(self) -> Confines:
        return Confines.find(self.proc, self.mounted)

    def sampler(self, power_w: float | None = None) -> SystemSampler:
        return SystemSampler(proc=self.proc, system=self.system, power_w=power_w, clock=lambda: self.now)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="reads this machine's /proc")
def test_this_machine_tells_of_itself() -> None:
    sampler = SystemSampler()
    assert sampler.sample().cpu is None, "the first look has no interval"
    time.sleep(0.15)
    view = sampler.sample()
    assert view.cpu is not None and 0 <= view.cpu <= 1
    assert view.memory is not None and 0 < view.memory < 1
    if Path("/proc/pressure/cpu").exists():
        assert view.cpu_pressure is not None and 0 <= view.cpu_pressure <= 1
    assert view.temperature_c is None or -40 < view.temperature_c < 150


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("some avg10=12.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=3.00 avg60=0 avg300=0 total=0\n", 0.125),
        ("some avg10=100.00 avg60=1 avg300=0 total=1\n", 1.0),
        ("full avg10=3.00\n", None),
        ("some avg10=many\n", None),
        ("some total=3\n", None),
        ("", None),
    ],
)
def test_pressure_is_read(tmp_path: Path, text: str, share: float | None) -> None:
    file = tmp_path / "cpu"
    file.write_text(text)
    assert pressure(file) == share


def test_no_pressure_file_tells_nothing(tmp_path: Path) -> None:
    assert pressure(tmp_path / "cpu") is None


def test_the_tightest_limit_of_the_groups_above_binds(machine: Machine) -> None:
    write(machine.group, cpu__max="200000 100000\n")
    write(machine.group.parent, cpu__max="50000 100000\n")
    assert machine.confines().cores() == 0.5


def test_no_limit_is_no_limit(machine: Machine) -> None:
    confines = machine.confines()
    assert confines.cores() is None
    assert confines.memory(1 << 30) is None


@pytest.mark.parametrize("text", ["", "1::/x\n", "0::/../../etc\n", "9:memory:/a\n"])
def test_odd_groups_are_the_top_or_none(machine: Machine, text: str) -> None:
    write(machine.proc / "self", cgroup=text)
    assert machine.confines().folder in (None, machine.mounted)


def test_a_machine_without_version_two_has_no_confines(tmp_path: Path) -> None:
    confines = Confines.find(tmp_path, tmp_path)
    assert confines.folder is None
    assert confines.cores() is None and confines.cpu_s() is None and confines.memory(1) is None


def test_cores_are_a_share_of_what_the_container_may_use(machine: Machine) -> None:
    write(machine.group, cpu__max="50000 100000\n", cpu__stat="usage_usec 1000000\nuser_usec 1\n")
    sampler = machine.sampler()
    assert sampler.sample().cpu is None
    machine.now += 2.0
    write(machine.group, cpu__stat="usage_usec 1400000\n")
    assert sampler.sample().cpu == pytest.approx(0.4), "0.4 s of the 1 s that half a core gives in 2 s"


def test_memory_is_a_share_of_the_containers_limit_without_what_can_be_dropped(machine: Machine) -> None:
    write(
        machine.group, memory__max="1000000\n", memory__current="600000\n",
        memory__stat="anon 1\ninactive_file 100000\n",
    )  # fmt: skip
    assert machine.sampler().sample().memory == pytest.approx(0.5)


def test_a_limit_beyond_the_machine_is_none(machine: Machine) -> None:
    write(machine.group, memory__max=f"{1 << 60}\n", memory__current="600000\n")
    assert machine.confines().memory(1 << 30) is None


def test_the_containers_own_pressure_comes_before_the_machines(machine: Machine) -> None:
    write(machine.proc / "pressure", cpu="some avg10=80.00\n", memory="some avg10=20.00\n")
    write(machine.group, cpu__pressure="some avg10=10.00\n")
    view = machine.sampler().sample()
    assert (view.cpu_pressure, view.memory_pressure) == (0.1, 0.2)


def test_power_is_counted_where_the_processor_counts(machine: Machine) -> None:
    package = machine.system / "class" / "powercap" / "intel-rapl:0"
    write(package, energy_uj="1000000\n")
    sampler = machine.sampler()
    assert sampler.sample().power_w is None
    machine.now += 2.0
    write(package, energy_uj="31000000\n")
    assert sampler.sample().power_w == pytest.approx(15.0)
    write(package, energy_uj="5\n")
    machine.now += 2.0
    assert sampler.sample().power_w is None, "the counter began anew"
    assert machine.sampler(power_w=9.0).sample().power_w == 9.0


async def test_the_watch_keeps_the_view_new() -> None:
    import asyncio

    signals = Signals(slots=3)
    signals.began("edge")
    watch = asyncio.create_task(SystemWatch(signals, every_s=0.05).run())
    await until(lambda: signals.system.memory is not None and signals.system.cpu is not None)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    system = signals.view().system
    assert system.memory is not None and system.cpu is not None
    assert (system.engine_slots, system.engine_busy) == (3, 1)


async def test_no_looks_when_off() -> None:
    signals = Signals()
    await SystemWatch(signals, every_s=0).run()
    assert signals.system.memory is None


class TwoCards:
    """What NVIDIA's binding offers, for two cards; `broken`: what fails."""

    class NVMLError(Exception):
        pass

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def _check(self, what: str) -> None:
        if what in self.broken:
            raise self.NVMLError(what)

    def nvmlInit(self) -> None:
        self._check("init")

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetUtilizationRates(self, card: int) -> SimpleNamespace:
        self._check("rates")
        return SimpleNamespace(gpu=(30, 80)[card])

    def nvmlDeviceGetMemoryInfo(self, card: int) -> SimpleNamespace:
        return SimpleNamespace(used=(60, 20)[card], total=80)

    def nvmlDeviceGetPowerUsage(self, card: int) -> int:
        self._check("power")
        return 100_500


@pytest.mark.parametrize(
    ("broken", "report"),
    [("", (0.8, 0.75, 201.0)), ("power", (0.8, 0.75, None)), ("rates", (None,) * 3), ("init", (None,) * 3)],
)
def test_accelerators_tell_the_busiest_the_fullest_and_the_power_of_all(
    machine: Machine, broken: str, report: tuple[float | None, ...]
) -> None:
    view = SystemSampler(proc=machine.proc, system=machine.system, nvml=TwoCards(broken)).sample()
    assert (view.gpu, view.gpu_memory, view.power_w) == report
