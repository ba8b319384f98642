"""How a failed attempt is tried again, and what limits that: back-off and budgets (R6)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Strict, Tag, model_validator

from azsim.scenario.fields import (
    RETRY_ATTEMPTS_MAX,
    Duration,
    Flag,
    Model,
    OrNone,
    PositiveDuration,
    PositiveNumber,
    PresetName,
    Rate,
    Share,
    Tokens,
    key,
    preset_key,
    refuse,
)

Outcome = Literal["timeout", "error", "refused", "reset", "overload", "no-target"]
OUTCOMES: tuple[Outcome, ...] = ("timeout", "error", "refused", "reset", "overload", "no-target")
Failure = Literal["timeout", "error", "refused", "reset", "overload", "no-target", "breaker-open"]
Jitter = Literal["none", "full", "equal", "decorrelated", "proportional"]
WINDOW_PARTS: Final = 10  # a sliding window moves on by a tenth of its length


class Backoff(Model):
    """How long a retry waits (R6): base x factor^(retry - 1), at most cap, drawn as `jitter` says."""

    preset: PresetName = preset_key("backoff", "aws-sdk-standard-2026")
    base: Duration = key("The wait before the first retry.", example="50ms")
    factor: PositiveNumber = key("What each further retry multiplies the wait by.", default=2, example=2)
    cap: Duration = key("The longest wait.", default="20s", example="20s")
    jitter: Jitter = key(
        "How the wait is drawn: `none` (exact), `full` (0 to the wait), `equal` (half to the whole), `decorrelated` "
        "(base to three times the previous wait) or `proportional` (the wait and up to `spread` more or less).",
        default="full",
        example="full",
    )
    spread: Share = key(
        "With `jitter: proportional`, by what share of it a wait may be shorter or longer.",
        default="20%",
        example="20%",
    )


BUDGETS: Final = ("token-bucket", "ratio", "grpc", "client-throttling")


class _Budget(Model):
    preset: PresetName = preset_key("budget", "aws-sdk-standard-2026")


def _kind(word: str, *, required: bool = True) -> Any:
    if required:
        return key("The kind of budget.", example=word, choices=BUDGETS)
    return key("The kind of budget.", default=word, example=word, choices=BUDGETS)


class TokenBucket(_Budget):
    """A token bucket that pays for retries, one per client process (R2, R6); it starts full."""

    kind: Literal["token-bucket"] = _kind("token-bucket", required=False)
    capacity: Tokens = key("The most tokens the bucket holds.", default=500, example=500)
    cost: Tokens = key("Tokens a retry takes; without enough of them there is no retry.", default=5, example=5)
    timeout_cost: Tokens = key("Tokens a retry takes after a timeout.", follows="cost", example=10)
    deposit: Tokens = key("Tokens that come back as `deposit_on` says.", default=1, example=1)
    deposit_after_retry: Annotated[
        Annotated[Tokens, Tag("<number>")] | Annotated[Literal["cost"], Tag("<word>")],
        Discriminator(lambda value: "<word>" if isinstance(value, str) else "<number>"),
    ] = key(
        "Tokens that come back when the request had been retried; `cost` gives back what its last retry took.",
        follows="deposit",
        rule="must be a number of tokens or the word cost",
        example="cost",
    )
    deposit_on: Literal["success", "request"] = key(
        "When tokens come back: at each success, or at each new request.", default="success", example="success"
    )


class Ratio(_Budget):
    """At most so many retries for each request, counted over a sliding window, one count per client process (R6)."""

    kind: Literal["ratio"] = _kind("ratio")
    ratio: Share = key("Retries allowed for the requests of the window.", default="20%", example="20%")
    floor: Rate = key("Retries allowed in any case.", default="10/s", example="10/s")
    window: PositiveDuration = key(
        "How long a request or retry counts; the window moves on by a tenth of it.", default="10s", example="10s"
    )


class Grpc(_Budget):
    """gRPC's retry throttling, one per client process (R6): retries while more than half of the tokens are left."""

    kind: Literal["grpc"] = _kind("grpc")
    max_tokens: Tokens = key("The most tokens, and how many there are at first.", default=10, example=10)
    ratio: Tokens = key("Tokens that come back at each success; a failed attempt takes one.", default=0.1, example=0.1)


class ClientThrottling(_Budget):
    """Adaptive throttling at the client, one per client process (R6): what is refused too often is not even sent.

    An attempt is held back with probability max(0, (requests - k accepts) / (requests + 1)).
    """

    kind: Literal["client-throttling"] = _kind("client-throttling")
    k: PositiveNumber = key(
        "How many requests may be made for each one that is accepted, before any are held back.", default=2, example=2
    )
    window: PositiveDuration = key(
        "How long a request or its acceptance counts; the window moves on by a tenth of it.",
        default="2min",
        example="2min",
    )

    @model_validator(mode="after")
    def _lets_something_through(self) -> ClientThrottling:
        if self.k < 1:
            refuse("k must be at least 1: below it, more is held back the more is accepted", "2", "k")
        return self


def _tag(value: Any) -> str:
    word = value.get("kind", "token-bucket") if isinstance(value, dict) else getattr(value, "kind", None)
    return f"<{word}>" if isinstance(word, str) and word in BUDGETS else "<token-bucket>"


Budget = Annotated[
    Annotated[TokenBucket, Tag("<token-bucket>")]
    | Annotated[Ratio, Tag("<ratio>")]
    | Annotated[Grpc, Tag("<grpc>")]
    | Annotated[ClientThrottling, Tag("<client-throttling>")],
    Discriminator(_tag),
]


class Retry(Model):
    """When and how a failed attempt is tried again (R6)."""

    preset: PresetName = preset_key("retry", "aws-sdk-standard-2026")
    attempts: Annotated[int, Strict(), Field(ge=1, le=RETRY_ATTEMPTS_MAX)] = key(
        "The most attempts of a request, the first one included.", default=3, example=3
    )
    backoff: OrNone[Backoff] = key(
        "The wait before a retry; `none` retries at once.", default="none", example={"base": "50ms", "jitter": "full"}
    )
    on: Annotated[tuple[Failure, ...], Field(min_length=1)] = key(
        "The outcomes that are tried again (R4); `breaker-open` only if it is named.",
        default=OUTCOMES,
        example=["timeout", "error"],
    )
    budget: OrNone[Budget] = key(
        "What limits the retries of one client process; `none` does not.",
        default="none",
        example={"kind": "token-bucket", "capacity": 500, "cost": 5},
    )
    avoid_previous: Flag = key(
        "Whether a retry goes to another target than the last attempt, where there is one.",
        default=False,
        example=False,
    )
