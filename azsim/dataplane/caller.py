"""The kernel's callers: calls of clients and of jobs send attempts, wait, retry and give up (R2-R6, D3-D6, D12-D15)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import hot, part
from azsim.base.seeds import LOSS_CANCEL, PATH, key_hash
from azsim.dataplane.arrivals import user_thinks
from azsim.dataplane.balancer import choose
from azsim.dataplane.codes import INFINITE, OUTCOMES, Kind, Outcome
from azsim.dataplane.connections import release
from azsim.dataplane.dispatches import choose_for, dispatch, dispatch_to, pass_connection, pass_to_proxy, pump, pump_all
from azsim.dataplane.guards import call_begins, heard, refusal, stops_retry
from azsim.dataplane.hedges import (
    await_hedge,
    begin_hedges,
    drop_hedge,
    last_failed,
    lead_of,
    may_hedge,
    new_hedge,
    note_time,
)
from azsim.dataplane.layout import (
    ATTEMPTS,
    FAILED,
    MIX_COLUMNS,
    MIX_DEGRADED,
    MIX_SUCCEEDED,
    POPULATION_COLUMNS,
    SENT,
    SERVICE_COLUMNS,
    STARTED_ATTEMPTS,
    STARTED_DEGRADED,
    STARTED_FAILED,
    STARTED_LATENCY,
    STARTED_SUCCEEDED,
    SUCCEEDED,
    TIMEOUTS,
)
from azsim.dataplane.names import close_connection
from azsim.dataplane.network import is_cut, packet_lost
from azsim.dataplane.policy_state import extras_of, policies_of
from azsim.dataplane.program_pools import branches_of, mix_rows_of, programs_of
from azsim.dataplane.programs import ask, branch_ended, link, unlink
from azsim.dataplane.proxies import choose_at, origin
from azsim.dataplane.proxy_lines import leave_waiting
from azsim.dataplane.proxy_pools import balancing_of, journeys_of
from azsim.dataplane.queues import schedule
from azsim.dataplane.standings import is_proxied, note_end
from azsim.dataplane.state import (
    BACKING_OFF,
    NO_TIMER,
    NONE,
    SCHEDULED,
    WAITING,
    calls_of,
    free_call,
    hop_attempts_of,
    hop_outcomes_of,
    hops_of,
    instances_of,
    jobs_of,
    latency_rows_of,
    new_call,
    np_int,
    population_rows_of,
    populations_of,
    service_rows_of,
    services_of,
    tokens_of,
    visits_of,
)
from azsim.dataplane.timeouts import drop_timer, list_timeout
from azsim.dataplane.waits import wait_before_retry
from azsim.policy.balancing import CALLER
from azsim.policy.histogram import BINS, bin_of

_OK = int(Outcome.OK)
_NO_TARGET = int(Outcome.NO_TARGET)
_TIMEOUT = int(Outcome.TIMEOUT)
_DEADLINE = int(Outcome.DEADLINE)
_CANCELLED = int(Outcome.CANCELLED)
_BUDGET_EXHAUSTED = int(Outcome.BUDGET_EXHAUSTED)
_KIND_TIMEOUT = int(Kind.TIMEOUT)
_CANCEL = int(Kind.CANCEL)
_BACKOFF_END = int(Kind.BACKOFF_END)
_REQUEST_ARRIVAL = int(Kind.REQUEST_ARRIVAL)


@part
def start_child(a: Any, j: int, h: int, zone: int, rich: Any) -> None:
    """A job makes its next call, over hop h (D10); zone: the only one that will do, NONE: the hop says (D44)."""
    job = jobs_of(a)[j]
    i = job.instance
    c = new_call(a)
    call = calls_of(a)[c]
    call.request = job.request
    call.path = key_hash(a.key, job.request, job.path, job.tag * 64 + job.calls_made, PATH)
    call.start_ns = a.now_ns
    call.row = a.row
    call.parent = j
    call.tag = 0
    call.hop = h
    call.place = instances_of(a)[i].zone
    job.next = c
    job.calls_made += 1
    if rich is not None:
        branches_of(a)[c].zone = zone
        if programs_of(a)[j].operation >= 0:
            link(a, j, c)
    begin(a, c, i - services_of(a)[instances_of(a)[i].service].instances_first, rich)


@part
def begin(a: Any, c: int, number: int, rich: Any) -> None:
    """Fill what every new call has, deposit if the budget does so per request, and send (D3)."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    call.state = WAITING
    call.timer = NO_TIMER
    call.target = NONE
    call.job = NONE
    call.paid = 0
    call.backoff_ns = hop.backoff_base_ns
    if rich is not None:
        journeys_of(a)[c].waits = 0
        extras_of(a)[c].client = number
        extras_of(a)[c].tried = NONE
    call.deadline_ns = INFINITE
    if hop.deadline_ns < INFINITE:
        call.deadline_ns = a.now_ns + hop.deadline_ns
    call.bucket = NONE
    if hop.buckets_first >= 0:
        call.bucket = hop.buckets_first + number
        if hop.budget_on_request == 1:
            tokens = tokens_of(a)
            tokens[call.bucket] = min(hop.budget_capacity, tokens[call.bucket] + hop.budget_deposit)
    if rich is not None:
        ask(a, c)
        begin_hedges(a, c)
        call_begins(a, c)
        if call.parent >= 0:
            call.deadline_ns = min(call.deadline_ns, programs_of(a)[call.parent].deadline_ns)
            if call.deadline_ns <= a.now_ns:
                failed(a, c, _DEADLINE, rich)
                return
    send(a, c, rich)


# --- attempts ------------------------------------------------------------------------------------------------------


@part
def send(a: Any, c: int, rich: Any) -> None:
    """Send a call's next attempt (D4); hedges may follow (D120)."""
    call = calls_of(a)[c]
    call.state = WAITING
    call.tag = ((call.tag >> 4) + 1) << 4
    if rich is not None:
        extras_of(a)[c].made += 1
        excluded = NONE
        if policies_of(a)[call.hop].avoid_previous == 1 and call.tag >= 32:
            excluded = np_int(extras_of(a)[c].tried)
        if transmit(a, c, excluded, rich):
            await_hedge(a, c)
    else:
        transmit(a, c, NONE, rich)


@part
def hedge(a: Any, c: int, rich: Any) -> None:
    """A call has waited for its hedge (D120)."""
    if not may_hedge(a, c):
        return
    transmit(a, new_hedge(a, c), np_int(extras_of(a)[c].tried), rich)
    await_hedge(a, c)


@hot
def transmit(a: Any, c: int, excluded: int, rich: Any) -> bool:
    """Send an attempt that has its number (D4); False: it had its outcome at once."""
    call = calls_of(a)[c]
    h = call.hop
    hop = hops_of(a)[h]
    t_ns = a.now_ns
    call.sent_ns = t_ns
    full = INFINITE
    if hop.timeout_ns < INFINITE:
        full = t_ns + hop.timeout_ns
    call.expiry_ns = min(full, call.deadline_ns)
    hop.in_flight += 1
    hop_attempts_of(a)[h] += 1
    if rich is not None:
        refused = refusal(a, c)
        if refused != _OK:
            attempt_failed(a, c, refused, rich)
            return False
    if hop.population >= 0:
        rows = population_rows_of(a)
        width = a.populations_length * POPULATION_COLUMNS
        column = hop.population * POPULATION_COLUMNS
        rows[a.row * width + column + ATTEMPTS] += 1
        rows[call.row * width + column + STARTED_ATTEMPTS] += 1
    service_rows_of(a)[(a.row * a.services_length + hop.service) * SERVICE_COLUMNS + SENT] += 1
    outcome = NONE
    if rich is not None and is_proxied(a, hop.service):
        outcome = pass_to_proxy(a, c, excluded, rich)
    elif not dispatch(a, c, excluded, rich):
        outcome = _NO_TARGET
    if outcome >= 0:
        attempt_failed(a, c, outcome, rich)
        return False
    if call.expiry_ns >= INFINITE:
        return True
    if call.expiry_ns == full:
        list_timeout(a, c)
    else:
        call.timer = SCHEDULED
        schedule(a, call.expiry_ns, _KIND_TIMEOUT, call.request, call.path, call.tag, c, call.generation, 0)
    return True


@part
def let_go_after(a: Any, c: int, outcome: int, judged: bool, rich: Any) -> None:
    """The same as `let_go` after a dispatch with an outcome, from which its proxy learns, and who waits may gain."""
    call = calls_of(a)[c]
    if rich is not None:
        pass_connection(a, c, outcome, rich)
    if rich is not None and is_proxied(a, hops_of(a)[call.hop].service):
        p = np_int(journeys_of(a)[c].proxy)
        leave_waiting(a, c)
        if call.target >= 0:
            note_end(a, c, outcome, judged)
            instances_of(a)[call.target].outstanding -= 1
            call.target = NONE
            pump(a, p, rich)
    else:
        let_go(a, c, rich)


@part
def let_go(a: Any, c: int, rich: Any) -> None:
    """The balancer stops counting the dispatch that the call waited for."""
    call = calls_of(a)[c]
    if rich is not None:
        release(a, c, False)
    if rich is not None and is_proxied(a, hops_of(a)[call.hop].service):
        leave_waiting(a, c)
        if call.target >= 0:
            note_end(a, c, NONE, False)
    if call.target >= 0:
        instances_of(a)[call.target].outstanding -= 1
        call.target = NONE


@part
def timed_out(a: Any, c: int, unreachable: int, rich: Any) -> None:
    """The caller gives an attempt up (D13), perhaps because it could not connect (D26)."""
    send_cancel(a, c, rich)
    # A caller that goes says nothing of the target, unless it could not connect or is itself the proxy (D104).
    judged = True
    if rich is not None:
        service = hops_of(a)[calls_of(a)[c].hop].service
        judged = unreachable == 1 or balancing_of(a)[service].placement == CALLER
    let_go_after(a, c, _TIMEOUT, judged, rich)
    attempt_failed(a, c, _TIMEOUT, rich)


@part
def send_cancel(a: Any, c: int, rich: Any) -> None:
    """Tell the target of the current dispatch that nobody waits for it, where the hop does so (D13)."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    if hop.cancel == 1 and call.job >= 0:
        job = jobs_of(a)[call.job]
        if job.generation == call.job_generation:
            arrives = not is_cut(a, call.job, rich)
            if rich is not None and arrives:
                via = np_int(visits_of(a)[call.job].via)
                arrives = not packet_lost(a, call.place, via, job.instance, job.request, job.path, job.tag, LOSS_CANCEL)
            if arrives:
                schedule(
                    a,
                    a.now_ns + call.delay_ns,
                    _CANCEL,
                    job.request,
                    job.path,
                    job.tag,
                    call.job,
                    job.generation,
                    0,
                )


@part
def redispatches(a: Any, c: int, outcome: int, rich: Any) -> bool:
    """The balancer tries another target, unseen by the caller, if it may and there is one (D12)."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    service = services_of(a)[hop.service]
    if (service.redispatch_on >> outcome) & 1 == 0 or (call.tag & 15) + 1 >= service.redispatch_attempts:
        return False
    tried = call.target
    if rich is not None and is_proxied(a, hop.service):
        p = np_int(journeys_of(a)[c].proxy)
        zone = branches_of(a)[c].zone
        i = choose_at(a, p, call.hop, origin(a, p, c), zone, tried, call.request, call.path, call.tag + 1)
        if i < 0:
            return False
        pass_connection(a, c, outcome, rich)
        note_end(a, c, outcome, True)
        instances_of(a)[tried].outstanding -= 1
        call.tag += 1
        dispatch_to(a, c, i, rich)
        pump(a, p, rich)
        return True
    i = NONE
    if rich is not None:
        i = choose_for(a, c, tried, call.tag + 1, rich)
    else:
        i = choose(a, hop.service, call.place, hop.same_zone, tried, call.request, call.path, call.tag + 1, rich)
    if i < 0:
        return False
    if rich is not None:
        pass_connection(a, c, outcome, rich)
    let_go(a, c, rich)
    call.tag += 1
    dispatch_to(a, c, i, rich)
    return True


@part
def _won(a: Any, c: int, rich: Any) -> int:
    """An attempt has succeeded: the call's others are given up, in the order of their numbers (D122); the call."""
    lead = lead_of(a, c)
    if extras_of(a)[lead].hedges == 0:
        return lead
    if lead != c and calls_of(a)[lead].state == WAITING:
        note_time(a, lead)
        send_cancel(a, lead, rich)
        _cancelled(a, lead, rich)
    h = np_int(extras_of(a)[lead].first)
    while h >= 0:
        following = np_int(extras_of(a)[h].next)
        if h != c:
            send_cancel(a, h, rich)
            _cancelled(a, h, rich)
        drop_hedge(a, h)
        h = following
    pump_all(a, rich)
    return lead


@hot
def succeeded(a: Any, c: int, rich: Any) -> None:
    """D14."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    drop_timer(a, c)
    hop.in_flight -= 1
    hop_outcomes_of(a)[call.hop * OUTCOMES + _OK] += 1
    if rich is not None:
        heard(a, c, _OK)
        note_time(a, c)
        c = _won(a, c, rich)
        call = calls_of(a)[c]
    if call.bucket >= 0 and hop.budget_on_request == 0:
        deposit = hop.budget_deposit
        if call.tag >= 32:
            deposit = hop.budget_deposit_after_retry
            if deposit < 0:
                deposit = call.paid
        tokens = tokens_of(a)
        tokens[call.bucket] = min(hop.budget_capacity, tokens[call.bucket] + deposit)
    if call.parent >= 0:
        a.ended_job = call.parent
        a.ended_well = 1
        if rich is not None:
            branch_ended(a, c, 1)
            programs_of(a)[call.parent].degraded |= a.answer_degraded
    else:
        latency = a.now_ns - call.start_ns
        rows = population_rows_of(a)
        width = a.populations_length * POPULATION_COLUMNS
        column = hop.population * POPULATION_COLUMNS
        rows[a.row * width + column + SUCCEEDED] += 1
        started = call.row * width + column
        rows[started + STARTED_SUCCEEDED] += 1
        rows[started + STARTED_LATENCY] += latency
        if rich is not None:
            rows[started + STARTED_DEGRADED] += a.answer_degraded
            mix = branches_of(a)[c].mix
            if mix >= 0:
                place = (call.row * a.mix_length + mix) * MIX_COLUMNS
                mix_rows_of(a)[place + MIX_SUCCEEDED] += 1
                mix_rows_of(a)[place + MIX_DEGRADED] += a.answer_degraded
        latency_rows_of(a)[call.row * BINS + bin_of(latency)] += 1
        populations_of(a)[hop.population].in_flight -= 1
        a.successes += 1
        if rich is not None:
            user_thinks(a, hop.population, call.request, rich)
    free_call(a, c)


@part
def attempt_failed(a: Any, c: int, outcome: int, rich: Any) -> None:
    """Retry after a back-off, or fail (D15)."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    drop_timer(a, c)
    hop.in_flight -= 1
    hop_outcomes_of(a)[call.hop * OUTCOMES + outcome] += 1
    if rich is not None:
        heard(a, c, outcome)
        close_connection(a, c, outcome)
    if hop.population >= 0 and outcome == _TIMEOUT:
        row = a.row * a.populations_length + hop.population
        population_rows_of(a)[row * POPULATION_COLUMNS + TIMEOUTS] += 1
    hedges = 0
    if rich is not None:
        if outcome == _TIMEOUT:
            note_time(a, c)
        c = last_failed(a, c)
        if c < 0:
            return
        call = calls_of(a)[c]
        hedges = np_int(extras_of(a)[c].hedges)
    t_ns = a.now_ns
    if t_ns >= call.deadline_ns:
        failed(a, c, _DEADLINE, rich)
        return
    attempt = call.tag >> 4
    if (hop.retry_on >> outcome) & 1 == 0 or attempt - hedges >= hop.attempts or a.retries_off == 1:
        failed(a, c, outcome, rich)
        return
    wait = wait_before_retry(a, c, outcome, attempt - hedges, rich)
    if t_ns + wait >= call.deadline_ns:
        failed(a, c, _DEADLINE, rich)
        return
    if rich is not None:
        stopped = stops_retry(a, c)
        if stopped != _OK:
            failed(a, c, stopped, rich)
            return
    if call.bucket >= 0:
        cost = hop.budget_cost
        if outcome == _TIMEOUT:
            cost = hop.budget_timeout_cost
        tokens = tokens_of(a)
        if tokens[call.bucket] < cost:
            failed(a, c, _BUDGET_EXHAUSTED, rich)
            return
        tokens[call.bucket] -= cost
        call.paid = cost
    call.state = BACKING_OFF
    schedule(a, t_ns + wait, _BACKOFF_END, call.request, call.path, attempt << 4, c, call.generation, 0)


@part
def failed(a: Any, c: int, outcome: int, rich: Any) -> None:
    """A call ends without success."""
    call = calls_of(a)[c]
    if call.parent >= 0:
        a.ended_job = call.parent
        a.ended_well = 0
        if rich is not None:
            branch_ended(a, c, 0)
    else:
        p = hops_of(a)[call.hop].population
        rows = population_rows_of(a)
        width = a.populations_length * POPULATION_COLUMNS
        column = p * POPULATION_COLUMNS
        rows[a.row * width + column + FAILED + outcome] += 1
        rows[call.row * width + column + STARTED_FAILED + outcome] += 1
        populations_of(a)[p].in_flight -= 1
        a.failures += 1
        if rich is not None:
            user_thinks(a, p, call.request, rich)
    free_call(a, c)


@part
def give_up(a: Any, c: int, rich: Any) -> None:
    """Drop a call whose caller is gone, or that a reset takes (D17, D22)."""
    give_up_attempts(a, c, 0, rich)
    free_call(a, c)


@part
def give_up_attempts(a: Any, c: int, cancel: int, rich: Any) -> None:
    """A call waits for its attempts no more (D27); cancel: their targets hear of it where the hop does so (D44)."""
    if calls_of(a)[c].state == WAITING:
        if cancel == 1:
            send_cancel(a, c, rich)
        _cancelled(a, c, rich)
    if rich is not None:
        while extras_of(a)[c].first >= 0:
            h = np_int(extras_of(a)[c].first)
            if cancel == 1:
                send_cancel(a, h, rich)
            _cancelled(a, h, rich)
            drop_hedge(a, h)


@part
def _cancelled(a: Any, c: int, rich: Any) -> None:
    """An open attempt ends as `cancelled`."""
    h = np_int(calls_of(a)[c].hop)
    drop_timer(a, c)
    let_go(a, c, rich)
    if rich is not None:
        heard(a, c, _CANCELLED)
    hops_of(a)[h].in_flight -= 1
    hop_outcomes_of(a)[h * OUTCOMES + _CANCELLED] += 1


@part
def give_up_calls(a: Any, j: int, cancel: int, rich: Any) -> None:
    """A job waits for its calls no more (D27); cancel: their targets hear of it where their hops do so (D44)."""
    if rich is not None and programs_of(a)[j].operation >= 0:
        while programs_of(a)[j].first >= 0:
            c = programs_of(a)[j].first
            unlink(a, j, c)
            give_up_attempts(a, c, cancel, rich)
            free_call(a, c)
        return
    give_up(a, jobs_of(a)[j].next, rich)
    jobs_of(a)[j].next = NONE
