"""The box itself: cores, memory, pressure, temperature, accelerator. Sampled in the background, not at a decision."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from netgpt.routing.link_state import SystemView
from netgpt.routing.signals import Signals


@dataclass(frozen=True, slots=True)
class Confines:
    """Limits of the container (Linux control groups, version 2): the own group and those above it, as far as visible.

    `folder` None: no group of version 2. Source: Documentation/admin-guide/cgroup-v2.rst of the Linux kernel.
    """

    folder: Path | None
    top: Path

    @classmethod
    def find(cls, proc: Path, mounted: Path) -> Confines:
        """`proc`: usually /proc; `mounted`: usually /sys/fs/cgroup (or its `unified` beside version 1)."""
        top = mounted if (mounted / "cgroup.controllers").exists() else mounted / "unified"
        try:
            lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return cls(None, top)
        path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
        if path is None or not (top / "cgroup.controllers").exists():
            return cls(None, top)
        folder = top / path.strip("/")
        return cls(folder if folder.is_dir() and ".." not in folder.parts else top, top)

    def _upwards(self) -> list[Path]:
        """Own group first. A limit of any of them binds."""
        if self.folder is None:
            return []
        return [self.folder, *(each for each in self.folder.parents if each.is_relative_to(self.top))]

    def cores(self) -> float | None:
        """How many cores may be used (`cpu.max`); None: all."""
        shares = []
        for group in self._upwards():
            words = _read(group / "cpu.max").split()
            if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
                shares.append(int(words[0]) / int(words[1]))
        return min(shares) if shares else None

    def cpu_s(self) -> float | None:
        """Seconds of cores used so far by the group; None: unknown."""
        microseconds = _fields(self.folder / "cpu.stat").get("usage_usec") if self.folder else None
        return microseconds / 1e6 if microseconds is not None else None

    def memory(self, machine_bytes: int) -> float | None:
        """The share in use of the tightest limit below the machine's memory; None: there is none.

        Pages of files that can be dropped at once do not count as used.
        """
        return max((min(1.0, used / limit) for limit, used in self._memories(machine_bytes)), default=None)

    def room(self, machine_bytes: int) -> int | None:
        """Bytes that the tightest of these limits leaves; None: there is none."""
        return min((max(0, limit - used) for limit, used in self._memories(machine_bytes)), default=None)

    def _memories(self, machine_bytes: int) -> Iterator[tuple[int, int]]:
        for group in self._upwards():
            limit, used = _read(group / "memory.max"), _read(group / "memory.current")
            if limit.isdigit() and used.isdigit() and 0 < int(limit) < machine_bytes:
                yield int(limit), max(0, int(used) - _fields(group / "memory.stat").get("inactive_file", 0))


def cores_and_room() -> tuple[int, int]:
    """Cores and bytes of memory that this process may take now, within its container."""
    import psutil

    confines, memory = Confines.find(Path("/proc"), Path("/sys/fs/cgroup")), psutil.virtual_memory()
    own = len(os.sched_getaffinity(0))
    cores = min(own, max(1, round(confines.cores() or own)))
    room = confines.room(memory.total)
    return cores, min(memory.available, memory.available if room is None else room)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _fields(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in _read(file).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


IDLE_TIMES = 5  # while the box is not in use, it is sampled this many times less often


def pressure(file: Path) -> float | None:
    """The share of the last ten seconds in which something waited (Linux PSI, "some avg10"); None: unknown.

    Source: Documentation/accounting/psi.rst of the Linux kernel.
    """
    for kind, *fields in map(str.split, _read(file).splitlines()):
        values = dict(field.split("=", 1) for field in fields if "=" in field)
        if kind == "some":
            with suppress(KeyError, ValueError):
                return min(1.0, max(0.0, float(values["avg10"]) / 100))
    return None


class SystemSampler:
    """Samples the machine, within the limits of the container that it may run in.

    `proc`, `system`: where the kernel tells (other folders for tests). What a machine does not tell stays None.
    """

    def __init__(
        self,
        *,
        proc: Path = Path("/proc"),
        system: Path = Path("/sys"),
        power_w: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        nvml: Any = None,
    ) -> None:
        """`nvml`: the binding of NVIDIA's library; None: `pynvml`, where it is installed."""
        self._proc, self._system, self._power_w, self._clock = proc, system, power_w, clock
        self._confines = Confines.find(proc, system / "fs" / "cgroup")
        self._gpu = _Gpu(nvml)
        self._energy: tuple[float, float] | None = None
        self._cpu: tuple[float, float] | None = None

    def sample(self) -> SystemView:
        """One sample; a few milliseconds of reading files, so in a thread."""
        gpu, gpu_memory, gpu_power = self._gpu.sample()
        where = self._confines.folder
        return SystemView(
            cpu=self._cores(),
            memory=self._memory(),
            cpu_pressure=self._pressure("cpu", where),
            memory_pressure=self._pressure("memory", where),
            temperature_c=_hottest(),
            gpu=gpu,
            gpu_memory=gpu_memory,
            power_w=self._power(gpu_power),
        )

    def _pressure(self, what: str, where: Path | None) -> float | None:
        own = pressure(where / f"{what}.pressure") if where is not None else None
        return own if own is not None else pressure(self._proc / "pressure" / what)

    def _cores(self) -> float | None:
        """Of the cores that may be used: the container's share where it has one, else the machine's."""
        import psutil

        used, cores = self._confines.cpu_s(), self._confines.cores()
        if used is None or cores is None:
            share = psutil.cpu_percent(interval=None) / 100
            first, self._cpu = self._cpu is None, (0.0, 0.0)
            return None if first else share  # the first figure is of no interval at all
        now = self._clock()
        before, self._cpu = self._cpu, (now, used)
        if before is None or now <= before[0]:
            return None
        return min(1.0, max(0.0, (used - before[1]) / ((now - before[0]) * cores)))

    def _memory(self) -> float | None:
        import psutil

        machine = psutil.virtual_memory()
        confined = self._confines.memory(machine.total)
        return confined if confined is not None else (machine.total - machine.available) / machine.total

    def _power(self, gpu_w: float | None) -> float | None:
        """As configured; else what the processor's counter (RAPL) and the accelerator tell."""
        if self._power_w is not None:
            return self._power_w
        joules = _counted_joules(self._system / "class" / "powercap")
        now = self._clock()
        before, self._energy = self._energy, (now, joules) if joules is not None else None
        cpu_w = None
        if joules is not None and before is not None and now > before[0] and joules >= before[1]:
            cpu_w = (joules - before[1]) / (now - before[0])
        return None if cpu_w is None and gpu_w is None else (cpu_w or 0.0) + (gpu_w or 0.0)


def _hottest() -> float | None:
    """The hottest sensor in degrees Celsius."""
    import psutil

    sensors = getattr(psutil, "sensors_temperatures", None)
    if sensors is None:
        return None
    with suppress(OSError, RuntimeError):
        found = [each.current for group in sensors().values() for each in group if each.current]
        return float(max(found)) if found else None
    return None


def _counted_joules(folder: Path) -> float | None:
    """Energy counters of the processor packages; None where there are none, or they are the administrator's alone."""
    total = None
    for file in folder.glob("intel-rapl:?/energy_uj"):
        with suppress(OSError, ValueError):
            total = (total or 0.0) + int(file.read_text(encoding="ascii")) / 1e6
    return total


class _Gpu:
    """NVIDIA's accelerators through NVML, where its library and its Python binding are installed."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._handles: list[Any] | None = None

    def sample(self) -> tuple[float | None, float | None, float | None]:
        """Share at work (the busiest), share of memory (the fullest), watts of all; None where there is none."""
        if self._handles is None:
            self._handles = self._open()
        if not self._handles:
            return None, None, None
        try:
            busy = max(self._nvml.nvmlDeviceGetUtilizationRates(each).gpu for each in self._handles) / 100
            memory = [self._nvml.nvmlDeviceGetMemoryInfo(each) for each in self._handles]
            return busy, max(each.used / each.total for each in memory), self._watts()
        except self._nvml.NVMLError:
            return None, None, None

    def _watts(self) -> float | None:
        try:
            return float(sum(self._nvml.nvmlDeviceGetPowerUsage(each) for each in self._handles or ()) / 1000)
        except self._nvml.NVMLError:
            return None

    def _open(self) -> list[Any]:
        try:
            self._nvml = nvml = self._nvml or import_module("pynvml")
        except ImportError:
            return []
        try:
            nvml.nvmlInit()
            return [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        except nvml.NVMLError:
            return []


class SystemWatch:
    """Keeps `signals.system` new: a sample every `every_s` seconds, less often while the box is not in use."""

    def __init__(self, signals: Signals, *, every_s: float, power_w: float | None = None) -> None:
        self.signals, self.every_s = signals, every_s
        self.sampler = SystemSampler(power_w=power_w)
        signals.system = replace(signals.system, power_w=power_w)

    async def run(self) -> None:
        """Sample until cancelled."""
        while self.every_s:
            self.signals.system = await asyncio.to_thread(self.sampler.sample)
            in_use = self.signals.clock() - self.signals.used_at < IDLE_TIMES * self.every_s
            await asyncio.sleep(self.every_s if in_use else IDLE_TIMES * self.every_s)
