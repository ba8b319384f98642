"""The kernel's health probes: requests of their own, and the thresholds on their answers (H1, H2, O9, D18)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.base.seeds import LOSS_THERE
from azsim.dataplane.codes import INFINITE, Kind, Outcome
from azsim.dataplane.network import packet_lost
from azsim.dataplane.programs import begin_program
from azsim.dataplane.queues import schedule
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
)
from azsim.policy.thresholds import (
    NEW,
    NOT_PROBED,
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
def send_probe(a: Any, i: int, tag: int, rich: Any) -> None:
    """Send an instance's next probe from outside."""
    instance = instances_of(a)[i]
    service = services_of(a)[instance.service]
    request = -(i + 1)
    t_ns = a.now_ns
    if instance.probing == NOT_PROBED:
        schedule(a, t_ns + service.interval_ns, _PROBE_SEND, request, 0, tag + 16, i, 0, 0)
        return
    instance.probe = tag
    schedule(a, t_ns + service.probe_timeout_ns, _PROBE_TIMEOUT, request, 0, tag, i, 0, 0)
    if service.after_answer == 0:
        schedule(a, t_ns + service.interval_ns, _PROBE_SEND, request, 0, tag + 16, i, 0, 0)
    link = a.zones * (a.zones + 1) + instance.zone
    if cuts_of(a)[link] > 0:
        return
    if rich is not None and packet_lost(a, a.zones, i, request, 0, tag, LOSS_THERE):
        return
    j = new_job(a)
    job = jobs_of(a)[j]
    job.request = request
    job.path = 0
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
        begin_program(a, j, NONE, INFINITE)
    delay = delays_of(a)[link] + instance.latency_ns
    schedule(a, t_ns + delay, _DELIVERY, request, 0, tag, j, job.generation, 0)


@part
def drop_probe(a: Any, i: int) -> None:
    """Forget the probe in flight: it counts as neither (D22, D30)."""
    instance = instances_of(a)[i]
    if instance.probe != 0:
        service = services_of(a)[instance.service]
        if service.after_answer == 1:
            t_ns = a.now_ns + service.interval_ns
            schedule(a, t_ns, _PROBE_SEND, -(i + 1), 0, instance.probe + 16, i, 0, 0)
        instance.probe = 0


@part
def set_probing(a: Any, i: int, on: int) -> None:
    """D69."""
    instance = instances_of(a)[i]
    if on == 1 and instance.probing == NOT_PROBED:
        instance.probing = NEW
    elif on == 0 and instance.probing != NOT_PROBED:
        drop_probe(a, i)
        instance.probing = NOT_PROBED
    else:
        return
    instance.sensed = 0
    instance.streak = 0


@part
def probe_answered(a: Any, i: int, tag: int, passed: bool, rich: Any) -> None:
    """A probe passed or failed; one that is no longer waited for says nothing."""
    instance = instances_of(a)[i]
    if instance.probe != tag:
        return
    instance.probe = 0
    service = services_of(a)[instance.service]
    if service.after_answer == 1:
        schedule(a, a.now_ns + service.interval_ns, _PROBE_SEND, -(i + 1), 0, tag + 16, i, 0, 0)
    instance.streak = streak_after(instance.streak, passed)
    passes = passes_needed(instance.probing, service.healthy_after)
    healthy = healthy_after_streak(instance.sensed == 1, instance.streak, service.unhealthy_after, passes)
    instance.probing = probing_after(instance.probing, instance.streak, service.unhealthy_after)
    if healthy != (instance.sensed == 1):
        instance.sensed = 1 if healthy else 0
        notice = notices_of(a)[a.notice_count]
        notice.t_ns = a.now_ns
        notice.instance = i
        notice.healthy = instance.sensed
        a.notice_count += 1
