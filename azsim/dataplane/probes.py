"""The kernel's health probes: requests of their own, and the thresholds on their answers (H1, H2, O9, D18)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.base.seeds import LOSS_THERE
from azsim.dataplane.codes import INFINITE, Kind, Outcome
from azsim.dataplane.network import packet_lost
from azsim.dataplane.programs import begin_program
from azsim.dataplane.proxy_pools import checks_of
from azsim.dataplane.queues import schedule
from azsim.dataplane.standings import check_passed
from azsim.dataplane.state import (
    IN_NETWORK,
    NONE,
    cuts_of,
    delays_of,
    instances_of,
    jobs_of,
    new_job,
    notices_of,
    services_of,
    visits_of,
)
from azsim.policy.thresholds import (
    NEW,
    NOT_PROBED,
    enough_hold_it_healthy,
    healthy_after_streak,
    passes_needed,
    probing_after,
    streak_after,
)

_PROBE_SEND = int(Kind.PROBE_SEND)
_PROBE_TIMEOUT = int(Kind.PROBE_TIMEOUT)
_DELIVERY = int(Kind.DELIVERY)
_OK = int(Outcome.OK)


@part
def check_of(a: Any, i: int, checker: int) -> int:
    """Number of the check that one of several checkers makes of instance i."""
    service = services_of(a)[instances_of(a)[i].service]
    return service.checks_first + (i - service.instances_first) * service.checkers + checker


@part
def send_probe(a: Any, i: int, checker: int, tag: int, rich: Any) -> None:
    """Send a checker's next probe of an instance from outside; its number is the path of the probe (D1)."""
    instance = instances_of(a)[i]
    service = services_of(a)[instance.service]
    request = -(i + 1)
    t_ns = a.now_ns
    if instance.probing == NOT_PROBED:
        schedule(a, t_ns + service.interval_ns, _PROBE_SEND, request, checker, tag + 16, i, 0, 0)
        return
    if rich is not None and service.checkers > 1:
        checks_of(a)[check_of(a, i, checker)].probe = tag
    else:
        instance.probe = tag
    schedule(a, t_ns + service.probe_timeout_ns, _PROBE_TIMEOUT, request, checker, tag, i, 0, 0)
    if service.after_answer == 0:
        schedule(a, t_ns + service.interval_ns, _PROBE_SEND, request, checker, tag + 16, i, 0, 0)
    link = a.zones * (a.zones + 1) + instance.zone
    if cuts_of(a)[link] > 0:
        return
    if rich is not None and packet_lost(a, a.zones, NONE, i, request, checker, tag, LOSS_THERE):
        return
    j = new_job(a)
    job = jobs_of(a)[j]
    job.request = request
    job.path = checker
    job.expiry_or_joined = t_ns + service.probe_timeout_ns
    job.finish_or_cpu = 0
    job.tag = tag
    job.call = NONE
    job.instance = i
    job.next = NONE
    job.place = a.zones
    job.calls_made = 0
    job.state = IN_NETWORK
    job.outcome = _OK
    if rich is not None:
        begin_program(a, j, NONE, INFINITE, 0)
        visits_of(a)[j].via = NONE
    delay = delays_of(a)[link] + instance.latency_ns
    schedule(a, t_ns + delay, _DELIVERY, request, checker, tag, j, job.generation, 0)


@part
def drop_probe(a: Any, i: int, rich: Any) -> None:
    """Forget the probes in flight: they count as neither (D22, D30)."""
    instance = instances_of(a)[i]
    service = services_of(a)[instance.service]
    if rich is not None and service.checkers > 1:
        for n in range(service.checkers):
            check = checks_of(a)[check_of(a, i, n)]
            _probe_again(a, i, n, check.probe)
            check.probe = 0
    else:
        _probe_again(a, i, 0, instance.probe)
        instance.probe = 0


@part
def _probe_again(a: Any, i: int, checker: int, dropped: int) -> None:
    """Where a probe follows the end of the one before, one that is dropped has ended now; dropped: its tag, or 0."""
    service = services_of(a)[instances_of(a)[i].service]
    if dropped != 0 and service.after_answer == 1:
        schedule(a, a.now_ns + service.interval_ns, _PROBE_SEND, -(i + 1), checker, dropped + 16, i, 0, 0)


@part
def set_probing(a: Any, i: int, on: int, rich: Any) -> None:
    """D69."""
    instance = instances_of(a)[i]
    service = services_of(a)[instance.service]
    if on == 1 and instance.probing == NOT_PROBED:
        instance.probing = NEW
    elif on == 0 and instance.probing != NOT_PROBED:
        drop_probe(a, i, rich)
        instance.probing = NOT_PROBED
    else:
        return
    instance.sensed = 0
    instance.streak = 0
    if rich is not None and service.checkers > 1:
        for n in range(service.checkers):
            check = checks_of(a)[check_of(a, i, n)]
            check.probing = NEW
            check.sensed = 0
            check.streak = 0


@part
def probe_answered(a: Any, i: int, checker: int, tag: int, passed: bool, rich: Any) -> None:
    """A probe passed or failed; one that is no longer waited for says nothing."""
    instance = instances_of(a)[i]
    service = services_of(a)[instance.service]
    healthy = True
    if rich is not None and service.checkers > 1:
        check = checks_of(a)[check_of(a, i, checker)]
        if check.probe != tag:
            return
        check.probe = 0
        check.streak = streak_after(check.streak, passed)
        passes = passes_needed(check.probing, service.healthy_after)
        own = healthy_after_streak(check.sensed == 1, check.streak, service.unhealthy_after, passes)
        check.probing = probing_after(check.probing, check.streak, service.unhealthy_after)
        check.sensed = 1 if own else 0
        say_so = 0
        for n in range(service.checkers):
            say_so += checks_of(a)[check_of(a, i, n)].sensed
        healthy = enough_hold_it_healthy(say_so, service.checkers, service.checkers_need)
    else:
        if instance.probe != tag:
            return
        instance.probe = 0
        instance.streak = streak_after(instance.streak, passed)
        passes = passes_needed(instance.probing, service.healthy_after)
        healthy = healthy_after_streak(instance.sensed == 1, instance.streak, service.unhealthy_after, passes)
        instance.probing = probing_after(instance.probing, instance.streak, service.unhealthy_after)
    if service.after_answer == 1:
        schedule(a, a.now_ns + service.interval_ns, _PROBE_SEND, -(i + 1), checker, tag + 16, i, 0, 0)
    if rich is not None and passed:
        check_passed(a, i)
    if healthy != (instance.sensed == 1):
        instance.sensed = 1 if healthy else 0
        notice = notices_of(a)[a.notice_count]
        notice.t_ns = a.now_ns
        notice.instance = i
        notice.healthy = instance.sensed
        a.notice_count += 1
