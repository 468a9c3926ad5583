"""Where the stages of several flows should run: on devices, boxes, a site's server or a cloud, by one objective.

A flow is a chain of stages, each with its work, memory, and what it passes on; it begins and ends where its people are.
A node has cores of some speed, memory, what a busy core draws, a price, and whether it is one's own: what sees words as
they were written runs on such nodes alone. Links have a round trip and a rate. The value of a plan is seconds, joules
and money of each request, weighted, plus a wait that grows with a node's load (M/M/c, as Sakasegawa approximates it).

Flows are placed one after the other, in a few orders, each by dynamic programming along its chain beside what the
others use, and then each again until none gains; of the best of these plans single stages are moved while all gain.
`bound` is what no plan can go below (each flow alone, without waits and limits), so a reader sees how far this one may
be from the best. Small cases are held against all plans that there are, in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from netgpt.errors import RequestError
from netgpt.fleet.orders import NAME

BUSIEST: Final = 0.85
"""Share of a node's cores that plans use at most."""
ROUNDS: Final = 20
ORDERS: Final = 6
"""In which few flows are placed, and the best of what comes of them taken; many are placed in two."""
POLISHED: Final = 3_000
"""Moves of single stages that are tried at the end; larger cases do without."""


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Node(_Given):
    """Something that can run stages."""

    name: str = Field(pattern=NAME)
    cores: int = Field(1, ge=1)
    speed: float = Field(1.0, gt=0)
    """Of a core, beside the one on which the work of the stages was measured."""
    memory_mb: float = Field(1_000.0, ge=0)
    watts: float = Field(0.0, ge=0)
    """That a busy core draws."""
    price: float = Field(0.0, ge=0)
    """Money for a second of a core."""
    own: bool = True
    """Whether words may be seen there as they were written."""


class NodeLink(_Given):
    """Between two nodes, in both directions; what is not named is no link."""

    between: tuple[str, str]
    rtt_ms: float = Field(ge=0)
    mbit_s: float = Field(gt=0)


class FlowStage(_Given):
    """One step of a flow."""

    name: str = Field(min_length=1, max_length=64)
    work_s: float = Field(ge=0)
    """Seconds of one core at speed 1, for one request."""
    memory_mb: float = Field(0.0, ge=0)
    """Once for each node that runs a stage of this name, whosever flow it is."""
    passes_kb: float = Field(1.0, ge=0)
    """What goes on to the next stage, or back to the people after the last."""
    sees: Literal["plain", "masked"] = "plain"
    only: tuple[str, ...] = ()
    """Nodes that may run it; none named: all."""


class Flow(_Given):
    """What the people at one node ask."""

    name: str = Field(pattern=NAME)
    at: str
    requests_s: float = Field(gt=0)
    asks_kb: float = Field(1.0, ge=0)
    stages: tuple[FlowStage, ...] = Field(min_length=1)


class PlanWeights(_Given):
    """What a second, a joule and a unit of money are worth, in the value of a request."""

    seconds: float = Field(1.0, ge=0)
    joules: float = Field(0.0, ge=0)
    money: float = Field(0.0, ge=0)


class Topology(_Given):
    """All that a plan is made of. Raises ValueError: a name that means nothing, or stands twice."""

    nodes: tuple[Node, ...] = Field(min_length=1)
    links: tuple[NodeLink, ...] = ()
    flows: tuple[Flow, ...] = Field(min_length=1)
    weights: PlanWeights = PlanWeights()

    @model_validator(mode="after")
    def _names(self) -> Topology:
        names = [each.name for each in self.nodes]
        for what, each in (("node", names), ("flow", [flow.name for flow in self.flows])):
            if twice := sorted({name for name in each if each.count(name) > 1}):
                raise ValueError(f'two {what}s are called "{twice[0]}"')
        used = [name for link in self.links for name in link.between]
        used += [name for flow in self.flows for name in (flow.at, *(n for s in flow.stages for n in s.only))]
        if strange := sorted(set(used) - set(names)):
            raise ValueError(f'no node is called "{strange[0]}"')
        return self


@dataclass(frozen=True)
class Placed:
    """One flow: the node of each stage, what a request costs, and what kept it from what it would get alone."""

    flow: str
    nodes: tuple[str, ...]
    seconds: float
    joules: float
    money: float
    why: str


@dataclass(frozen=True)
class Plan:
    """`value` of all requests of a second, and the `bound` below which no plan can be; `load`: of each node's cores."""

    placed: tuple[Placed, ...]
    value: float
    bound: float
    load: Mapping[str, float]
    memory_mb: Mapping[str, float]


Loaded = tuple[str, float]
"""What takes memory once at a node: a stage's name, and how much."""


@dataclass
class _Taken:
    """What the other flows use."""

    work: dict[str, float] = field(default_factory=dict)
    """Core seconds of speed 1 a second, by node."""
    loaded: dict[str, dict[Loaded, int]] = field(default_factory=dict)
    """By node: how many flows run each there."""

    def add(self, flow: Flow, nodes: Sequence[str], sign: int = 1) -> None:
        for stage, node in zip(flow.stages, nodes, strict=True):
            self.work[node] = self.work.get(node, 0.0) + sign * stage.work_s * flow.requests_s
            here = self.loaded.setdefault(node, {})
            here[_loaded(stage)] = here.get(_loaded(stage), 0) + sign

    def without(self, flow: Flow, nodes: Sequence[str]) -> _Taken:
        others = _Taken(dict(self.work), {node: dict(each) for node, each in self.loaded.items()})
        others.add(flow, nodes, -1)
        return others

    def at(self, node: str) -> set[Loaded]:
        return {each for each, count in self.loaded.get(node, {}).items() if count > 0}

    def memory(self, node: str) -> float:
        return sum(memory for _, memory in self.at(node))


def _loaded(stage: FlowStage) -> Loaded:
    return stage.name, stage.memory_mb


class Planner:
    """Plans for one topology."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.nodes = {each.name: each for each in topology.nodes}
        self._ways = self._shortest()

    def plan(self, before: Plan | None = None) -> Plan:
        """A plan. `before`: the one in force, from which the search begins, so that little moves.

        Raises RequestError that names flow and stage: nothing may or can run it.
        """
        flows = sorted(self.topology.flows, key=lambda flow: -flow.requests_s * sum(s.work_s for s in flow.stages))
        orders = [
            flows,
            flows[::-1],
            *(flows[n:] + flows[:n] for n in range(1, len(flows) if len(flows) < ORDERS else 0)),
        ]
        found, fault = list[dict[str, tuple[str, ...]]](), None
        for order in orders:
            try:
                found.append(self._settled(order, before))
            except RequestError as error:
                fault = fault or error
        if fault is not None and not found:
            raise fault
        chosen = self._polished(min(found, key=self.value))
        taken = _Taken()
        for flow in flows:
            taken.add(flow, chosen[flow.name])
        return self._told(chosen, taken)

    def _settled(self, flows: Sequence[Flow], before: Plan | None) -> dict[str, tuple[str, ...]]:
        """Where each flow stays, placed in this order and then moved until none gains. Raises RequestError."""
        taken, chosen = _Taken(), dict[str, tuple[str, ...]]()
        for known in before.placed if before else ():
            flow = next((each for each in flows if each.name == known.flow), None)
            if flow is not None and self._fits(flow, known.nodes, taken):
                taken.add(flow, known.nodes)
                chosen[flow.name] = known.nodes
        for _ in range(ROUNDS):
            moved = False
            for flow in flows:
                if flow.name in chosen:
                    taken.add(flow, chosen[flow.name], -1)
                nodes = self._alone(flow, taken)
                moved |= chosen.get(flow.name) != nodes
                chosen[flow.name] = nodes
                taken.add(flow, nodes)
            if not moved:
                break
        return chosen

    def _polished(self, chosen: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Single stages moved while all flows together gain by it: what each takes from the others counts here."""
        least, left = self.value(chosen), POLISHED
        moves = [(flow, at, name) for flow in self.topology.flows for at, stage in enumerate(flow.stages)
                 for name in self._may_run(stage)]  # fmt: skip
        gained = len(moves) <= POLISHED
        while gained and left > 0:
            gained = False
            for flow, at, name in moves:
                nodes = chosen[flow.name]
                tried = {**chosen, flow.name: (*nodes[:at], name, *nodes[at + 1 :])}
                left -= 1
                if nodes[at] != name and (value := self.value(tried)) < least - 1e-12:
                    chosen, least, gained = tried, value, True
        return chosen

    def value(self, chosen: Mapping[str, Sequence[str]]) -> float:
        """What a whole assignment costs a second; infinite where it cannot be."""
        taken = _Taken()
        for flow in self.topology.flows:
            if not self._fits(flow, chosen[flow.name], taken):
                return math.inf
            taken.add(flow, chosen[flow.name])
        return sum(flow.requests_s * self._cost(flow, chosen[flow.name], taken)[0] for flow in self.topology.flows)

    def _alone(self, flow: Flow, taken: _Taken) -> tuple[str, ...]:
        """The best nodes for one flow beside what is taken. Raises RequestError."""
        best: dict[str, tuple[float, tuple[str, ...]]] = {flow.at: (0.0, ())}
        passed = flow.asks_kb
        for stage in flow.stages:
            reached: dict[str, tuple[float, tuple[str, ...]]] = {}
            for name in self._may_run(stage):
                for value, path in best.values():
                    way = self._way(path[-1] if path else flow.at, name, passed)
                    if way is None or not self._has_room(flow, path, name, taken):
                        continue
                    cost = value + self._worth(way + self._run_s(stage, flow, name, taken), stage, name)
                    if name not in reached or cost < reached[name][0]:
                        reached[name] = (cost, (*path, name))
            if not reached:
                raise RequestError(
                    f'flow "{flow.name}": nothing may or can run its stage "{stage.name}": {_needs(stage)}'
                )
            best, passed = reached, stage.passes_kb
        ends = [
            (value + self.topology.weights.seconds * way, path)
            for name, (value, path) in best.items()
            if (way := self._way(name, flow.at, passed)) is not None
        ]
        if not ends:
            raise RequestError(f'flow "{flow.name}": no link leads back to {flow.at}')
        return min(ends)[1]

    def _least(self, flow: Flow) -> float:
        """The value of a request below which no plan can go: no waits, no limits. Exact: a sum along the chain."""
        best, passed = {flow.at: 0.0}, flow.asks_kb
        for stage in flow.stages:
            best = {
                name: min(
                    value + self._worth(way + stage.work_s / self.nodes[name].speed, stage, name)
                    for before, value in best.items()
                    if (way := self._way(before, name, passed)) is not None
                )
                for name in self._may_run(stage)
                if any(self._way(before, name, passed) is not None for before in best)
            }
            passed = stage.passes_kb
        backs = ((value, self._way(name, flow.at, passed)) for name, value in best.items())
        return min(value + self.topology.weights.seconds * back for value, back in backs if back is not None)

    def _may_run(self, stage: FlowStage) -> list[str]:
        return [
            node.name
            for node in self.topology.nodes
            if (not stage.only or node.name in stage.only) and (node.own or stage.sees == "masked")
        ]

    def _fits(self, flow: Flow, nodes: Sequence[str], taken: _Taken) -> bool:
        """Whether a whole path is allowed and has room."""
        return len(nodes) == len(flow.stages) and all(
            name in self.nodes and name in self._may_run(stage) and self._has_room(flow, nodes[:at], name, taken)
            for at, (stage, name) in enumerate(zip(flow.stages, nodes, strict=True))
        )

    def _has_room(self, flow: Flow, path: Sequence[str], name: str, taken: _Taken) -> bool:
        """Whether the stage after `path` has memory and cores at a node, beside the flow's own stages before it."""
        node = self.nodes[name]
        here = [stage for stage, at in zip(flow.stages, (*path, name), strict=False) if at == name]
        work = taken.work.get(name, 0.0) + sum(stage.work_s for stage in here) * flow.requests_s
        if work / node.speed > BUSIEST * node.cores:
            return False
        held = taken.at(name)
        return sum(memory for _, memory in held | {_loaded(stage) for stage in here}) <= node.memory_mb

    def _run_s(self, stage: FlowStage, flow: Flow, name: str, taken: _Taken) -> float:
        """Seconds of the stage there: its work, and the wait for a core."""
        node = self.nodes[name]
        service = stage.work_s / node.speed
        busy = (taken.work.get(name, 0.0) + stage.work_s * flow.requests_s) / node.speed / node.cores
        busy = min(busy, 0.99)
        return service * (1 + math.pow(busy, math.sqrt(2 * (node.cores + 1)) - 1) / (node.cores * (1 - busy)))

    def _worth(self, seconds: float, stage: FlowStage, name: str) -> float:
        node, weights = self.nodes[name], self.topology.weights
        busy = stage.work_s / node.speed
        return weights.seconds * seconds + weights.joules * busy * node.watts + weights.money * busy * node.price

    def _cost(self, flow: Flow, nodes: Sequence[str], taken: _Taken) -> tuple[float, float, float, float]:
        """Value, seconds, joules, money of one request, with all flows placed (`taken` holds this one too)."""
        others = taken.without(flow, nodes)
        at, passed, seconds, value = flow.at, flow.asks_kb, 0.0, 0.0
        joules = money = 0.0
        for stage, name in zip(flow.stages, nodes, strict=True):
            way = self._way(at, name, passed)
            here = (math.inf if way is None else way) + self._run_s(stage, flow, name, others)
            seconds += here
            value += self._worth(here, stage, name)
            busy = stage.work_s / self.nodes[name].speed
            joules, money = joules + busy * self.nodes[name].watts, money + busy * self.nodes[name].price
            at, passed = name, stage.passes_kb
        back = self._way(at, flow.at, passed)
        back = math.inf if back is None else back
        return value + self.topology.weights.seconds * back, seconds + back, joules, money

    def _way(self, here: str, there: str, kilobytes: float) -> float | None:
        """Seconds for so much from node to node; None: no way."""
        if here == there:
            return 0.0
        way = self._ways.get((here, there))
        return None if way is None else way[0] / 2 + kilobytes * 8e-3 / way[1]

    def _shortest(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Round trip in seconds and rate in Mbit/s between all nodes, over others where that is quicker."""
        ways: dict[tuple[str, str], tuple[float, float]] = {}
        for link in self.topology.links:
            for pair in (link.between, link.between[::-1]):
                ways[pair] = (link.rtt_ms / 1000, link.mbit_s)
        names = [each.name for each in self.topology.nodes]
        for middle in names:
            for here in names:
                for there in names:
                    first, second = ways.get((here, middle)), ways.get((middle, there))
                    if here == there or first is None or second is None:
                        continue
                    over = (first[0] + second[0], min(first[1], second[1]))
                    if (here, there) not in ways or over[0] < ways[here, there][0]:
                        ways[here, there] = over
        return ways

    def _told(self, chosen: Mapping[str, tuple[str, ...]], taken: _Taken) -> Plan:
        placed, value, bound = [], 0.0, 0.0
        for flow in self.topology.flows:
            nodes = chosen[flow.name]
            worth, seconds, joules, money = self._cost(flow, nodes, taken)
            alone = self._alone(flow, _Taken())
            value, bound = value + flow.requests_s * worth, bound + flow.requests_s * self._least(flow)
            why = self._why(flow, nodes, alone, taken.without(flow, nodes))
            placed.append(Placed(flow.name, nodes, seconds, joules, money, why))
        load = {name: taken.work.get(name, 0.0) / node.speed / node.cores for name, node in self.nodes.items()}
        return Plan(tuple(placed), value, bound, load, {name: taken.memory(name) for name in self.nodes})

    def _why(self, flow: Flow, nodes: Sequence[str], alone: Sequence[str], others: _Taken) -> str:
        """What kept the flow from what it would get alone."""
        if tuple(nodes) == tuple(alone):
            return "the best that it could get alone"
        differs = [(stage, best) for stage, best, node in zip(flow.stages, alone, nodes, strict=True) if best != node]
        stage, best = differs[0]
        node = self.nodes[best]
        if sum(memory for _, memory in others.at(best) | {_loaded(stage)}) > node.memory_mb:
            return f"{stage.name}: {best} has no memory left for it"
        work = others.work.get(best, 0.0) + stage.work_s * flow.requests_s
        if work / node.speed > BUSIEST * node.cores:
            return f"{stage.name}: {best} has no core left for it"
        return f"{stage.name}: beside the others it would wait longer at {best}"


def _needs(stage: FlowStage) -> str:
    words = [f"{stage.memory_mb:g} MB", f"{stage.work_s:g} s of a core"]
    words += ["a node of one's own"] if stage.sees == "plain" else []
    words += [f"one of {', '.join(stage.only)}"] if stage.only else []
    return ", ".join(words)
