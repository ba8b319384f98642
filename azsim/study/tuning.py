"""Looks for settings that keep a system up at the least cost (Optuna), and confirms the one it would choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from azsim.base.errors import AzsimError, ExitCode, ScenarioError
from azsim.base.seeds import key_hash
from azsim.scenario import Scenario
from azsim.scenario.loader import read_text
from azsim.scenario.tree import plain
from azsim.study import intervals
from azsim.study.collector import Collector
from azsim.study.intervals import Interval
from azsim.study.knob import knob, value_at
from azsim.study.row import Row
from azsim.study.sampling import Sampler, settled
from azsim.study.task import Task

if TYPE_CHECKING:
    import optuna

Algorithm = Literal["nsga2", "tpe"]
Settings = dict[str, Any]

GENERATION: Final = 10  # trials that are run at once; the search is the same whoever runs them
FRESH: Final = 10  # times as many replicates confirm the choice as a trial had
_TUNE: Final = 515  # purpose of the seed that Optuna gets


class TuningError(AzsimError):
    """A search that cannot begin."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Choice:
    """A key and the values it may take, as a scenario writes them, from low to high where they have an order."""

    path: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting, and how it fared on the replicates that all trials share."""

    settings: Settings
    cost: float  # cores, all instances as configured
    down: float  # share of the replicates
    failed: float  # mean share of requests

    @property
    def loss(self) -> float:
        """What is to be small: first of all the systems that go down, then the requests that fail."""
        return self.down + self.failed

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"settings": self.settings, "cost": self.cost, "down": self.down, "failed": self.failed}


@dataclass(frozen=True, slots=True)
class Tuning:
    """A finished search. `trials[0]` is the scenario as it stands; `front` are trials that none beats in both loss and
    cost, by cost; `chosen` is the cheapest of those with the least P(down), confirmed by `fresh` replicates.
    """

    scenario: Scenario
    choices: tuple[Choice, ...]
    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    chosen: Trial
    fresh: Interval
    fresh_before: Interval  # the scenario as it stands, on the same fresh replicates
    fresh_replicates: int
    replicates: int

    @property
    def tuned(self) -> Scenario:
        """The scenario with the chosen setting."""
        return self.scenario.with_(self.chosen.settings)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "scenario": self.scenario.name,
            "digest": self.scenario.digest,
            "replicates": self.replicates,
            "trials": [one.to_dict() for one in self.trials],
            "front": [one.to_dict() for one in self.front],
            "chosen": self.chosen.to_dict(),
            "fresh_replicates": self.fresh_replicates,
            "fresh_down": self.fresh.to_dict(),
            "fresh_down_before": self.fresh_before.to_dict(),
        }


def choices_of(scenario: Scenario, texts: Sequence[str]) -> list[Choice]:
    """The choices of `PATH=LOW..HIGH` and `PATH=[one, another]`; without any, what costs nothing: how often clients and
    services try, and how long queues are.
    """
    return [_choice(scenario, text) for text in texts or _free(scenario)]


def _choice(scenario: Scenario, text: str) -> Choice:
    path, _, values = text.partition("=")
    if values.lstrip().startswith("["):
        read = plain(read_text(values, "--knob"))
        listed = read if isinstance(read, list) else []
        for value in listed:
            settled(scenario, {path: value})
        found = Choice(path, tuple(listed))
    else:
        turned = knob(scenario, text)
        found = Choice(path, tuple(turned.written(level) for level in turned.levels))
    if len(found.values) < 2:
        raise TuningError(f"{path}: a choice is between two values at least, such as {path}=[1, 2]")
    return found


def _free(scenario: Scenario) -> list[str]:
    found = []
    for name, population in scenario.traffic.items():
        if population.retry is not None and population.retry.attempts > 1:
            found.append(f"traffic.{name}.retry.attempts=1..{population.retry.attempts}")
    for name, service in scenario.services.items():
        for placed in service.every_call:
            if placed.call.retry is not None and placed.call.retry.attempts > 1:
                found.append(f"services.{name}.{placed.name}.retry.attempts=1..{placed.call.retry.attempts}")
        if isinstance(service.queue, int) and service.queue > 1:
            found.append(f"services.{name}.queue={max(1, service.queue // 20)}..{service.queue}")
    return found


def cost(scenario: Scenario) -> float:
    """Cores of all instances as configured."""
    return float(
        sum(
            service.instances(zone) * service.instance(zone).cores
            for service in scenario.services.values()
            for zone in scenario.zones
        )
    )


def tune(
    scenario: Scenario,
    choices: Sequence[Choice],
    collector: Collector,
    *,
    trials: int = 60,
    replicates: int = 5,
    confidence: float = 0.95,
    algorithm: Algorithm = "nsga2",
    counted: Callable[[int], None] | None = None,
) -> Tuning:
    """Search. TuningError where there is nothing to choose or Optuna (the extra `azsim[tune]`) is not there."""
    if not choices:
        raise TuningError("nothing here retries or queues: say what may change with --knob PATH=LOW..HIGH")
    bench = _Bench(scenario, collector, counted)
    done: dict[tuple[Any, ...], Trial] = {}
    study = _optuna_study(algorithm, key_hash(scenario.seed, 0, 0, 0, _TUNE) % 2**32)
    study.enqueue_trial(_standing(scenario, choices))
    left = trials
    while left > 0:
        asked = [study.ask() for _ in range(min(GENERATION, left))]
        left -= len(asked)
        wanted = [_suggested(one, choices) for one in asked]
        new = {_key(one): one for one in wanted if _key(one) not in done}
        done |= dict(zip(new, bench.tried(list(new.values()), range(replicates)), strict=True))
        for trial, settings in zip(asked, wanted, strict=True):
            found = done[_key(settings)]
            study.tell(trial, [found.loss, found.cost] if algorithm == "nsga2" else found.loss)
    tried = tuple(done.values())
    front = front_of(tried)
    chosen = min(front, key=lambda one: (one.down, one.cost, one.failed))
    fresh = range(replicates, replicates * (1 + FRESH))
    before, after = bench.rows([{}, chosen.settings], fresh)
    return Tuning(
        scenario=scenario,
        choices=tuple(choices),
        trials=tried,
        front=front,
        chosen=chosen,
        fresh=intervals.share(sum(row.down for row in after), len(after), confidence),
        fresh_before=intervals.share(sum(row.down for row in before), len(before), confidence),
        fresh_replicates=len(fresh),
        replicates=replicates,
    )


def front_of(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """The trials that none beats in both loss and cost, by cost; of equal ones the first."""
    found: list[Trial] = []
    for one in sorted(trials, key=lambda trial: (trial.cost, trial.loss)):
        if not found or one.loss < found[-1].loss:
            found.append(one)
    return tuple(found)


class _Bench:
    """Runs settings; one that a scenario cannot hold counts as one that always goes down."""

    def __init__(self, scenario: Scenario, collector: Collector, counted: Callable[[int], None] | None) -> None:
        self._scenario = scenario
        self._collector = collector
        self._counted = counted
        self._sampler = Sampler(scenario)
        self._made = 0

    def tried(self, settings: Sequence[Settings], replicates: range) -> list[Trial]:
        """How settings fare."""
        found = []
        valid = [self._holds(one) for one in settings]
        of_valid = iter(self.rows([one for one, ok in zip(settings, valid, strict=True) if ok], replicates))
        for one, ok in zip(settings, valid, strict=True):
            if not ok:
                found.append(Trial(one, cost(self._scenario), 1.0, 1.0))
                continue
            rows = next(of_valid)
            failed = sum(1.0 - (row.success or 0.0) for row in rows) / len(rows)
            down = sum(row.down or row.verdict == "undecided" for row in rows) / len(rows)
            found.append(Trial(one, cost(settled(self._scenario, one)), down, failed))
        return found

    def rows(self, settings: Sequence[Settings], replicates: range) -> list[list[Row]]:
        """The rows of each setting."""
        tasks = [
            Task.of(settled(self._scenario, {**self._sampler.values(k), **one}), k, light=True)
            for one in settings
            for k in replicates
        ]
        begun = self._made
        told = None if self._counted is None else lambda done, _: self._counted(begun + done)  # type: ignore[misc]
        rows = self._collector.rows(tasks, told)
        self._made += len(rows)
        n = len(replicates)
        return [rows[i * n : (i + 1) * n] for i in range(len(settings))]

    def _holds(self, settings: Settings) -> bool:
        try:
            settled(self._scenario, settings)
        except ScenarioError:
            return False
        return True


def _optuna_study(algorithm: Algorithm, seed: int) -> optuna.Study:
    try:
        import optuna
    except ImportError:
        raise TuningError("tuning needs Optuna: pip install 'azsim[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if algorithm == "tpe":
        return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), direction="minimize")
    sampler = optuna.samplers.NSGAIISampler(seed=seed, population_size=GENERATION)
    return optuna.create_study(sampler=sampler, directions=["minimize", "minimize"])


def _standing(scenario: Scenario, choices: Sequence[Choice]) -> dict[str, Any]:
    """The places, among the values of each choice, of what the scenario has, as far as it is among them."""
    found: dict[str, Any] = {}
    for one in choices:
        try:
            now = value_at(scenario, one.path)
        except ScenarioError:
            continue
        if now in one.values:
            found[one.path] = one.values.index(now)
    return found


def _suggested(trial: optuna.Trial, choices: Sequence[Choice]) -> Settings:
    return {one.path: one.values[trial.suggest_int(one.path, 0, len(one.values) - 1)] for one in choices}


def _key(settings: Settings) -> tuple[Any, ...]:
    return tuple(str(value) for value in settings.values())
