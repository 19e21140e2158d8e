"""One request through the router: draw, try, and fall back, with one observation for every attempt."""

import asyncio
import random
import time
import uuid
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from cogorch_dagster.lab.routing import Cooldowns, FailureKind, RouterPolicy
from cogorch_dagster.lab.splitting import Journey, Split, Step

COMPONENT = "router:core"
COMPONENT_KIND = "llm_router"
PROVIDER = "lab"
# Feedback arrives within seconds; at 100 requests a second this holds the last quarter of an hour.
REMEMBERED_ANSWERS = 100_000

# Takes a row and returns the id under which it will be stored.
Record = Callable[[Mapping[str, Any]], str | None]


@dataclass(frozen=True)
class Attempt:
    """What one call to one model server came to; a `failure` of None is a success."""

    failure: FailureKind | None
    duration_ms: float
    error_type: str | None = None
    http_status: int | None = None
    label: int | None = None
    queue_ms: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True)
class Routed:
    """The outcome of a request: its answer, or the last failure once no fallback was left."""

    decision_id: str
    policy_version: str
    arm: str
    attempts: int
    last: Attempt


@dataclass
class _Request:
    """A request under way: its version and each draw with what came of it. The first draw always finds an arm."""

    journey: Journey
    decision_id: str
    tenant: str | None
    unit_key: str | None
    attempts: list[tuple[Step, Attempt]] = field(default_factory=list)

    @property
    def policy(self) -> RouterPolicy:
        return self.journey.policy


@dataclass
class Dispatcher:
    """Routes requests to the arms' servers and records every attempt.

    Args:
        upstreams: base URL of each arm's server.
        http: without limits of its own on connections or time; the policy sets the time.
        record: takes an observation and returns its id, `record_feedback` a feedback row; neither may block.
        generator: seeded; every draw comes from it.

    Attributes:
        cooldowns: of the active version, whichever that is; a canary has its own, so that what it breaks is not taken
            from the active version.
    """

    upstreams: Mapping[str, str]
    http: httpx.AsyncClient
    record: Record
    record_feedback: Callable[[Mapping[str, Any]], None]
    generator: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    cooldowns: Cooldowns = field(default_factory=Cooldowns)
    _of_canaries: defaultdict[str, Cooldowns] = field(default_factory=lambda: defaultdict(Cooldowns))
    _answers: OrderedDict[str, str] = field(default_factory=OrderedDict)

    async def route(self, split: Split, pixels: list[float], tenant: str | None, unit_key: str | None = None) -> Routed:
        """Route one image by one of the versions served; the request keeps it even if others are served meanwhile."""
        split = split.of_tenant(tenant)
        policy = split.choose(unit_key, self.generator)
        request = _Request(Journey(split, policy), str(uuid.uuid4()), tenant, unit_key)
        step = self._draw(request)
        while step is not None:
            occurred_at = datetime.now(UTC)
            attempt = await self._try(policy, step.drawn.arm, pixels)
            request.attempts.append((step, attempt))
            self._observe(request, occurred_at)
            step = self._after(request)
        self._count(request)
        last_step, last = request.attempts[-1]
        return Routed(request.decision_id, policy.version, last_step.drawn.arm, len(request.attempts), last)

    def judge(self, decision_id: str, quality: float) -> bool:
        """Record whether a given answer was right (1) or wrong (0); False when no answer of that id is remembered."""
        observation_id = self._answers.get(decision_id)
        if observation_id is None:
            return False
        self.record_feedback(
            {
                "observation_id": observation_id,
                "metric": "quality",
                "value": quality,
                "occurred_at": datetime.now(UTC).isoformat(),
            }
        )
        self.counts["feedback"] += 1
        return True

    def _draw(self, request: _Request) -> Step | None:
        now = time.monotonic()
        tried = [step.drawn.arm for step, _ in request.attempts]
        return request.journey.draw(
            lambda version: self._cooldowns(request, version).cooling(now), tried, self.generator
        )

    def _after(self, request: _Request) -> Step | None:
        """The next draw after a failed attempt that the policy falls back on; None ends the request."""
        policy, (step, attempt) = request.policy, request.attempts[-1]
        if attempt.failure is None:
            return None
        until = time.monotonic() + policy.cooldown_ms / 1e3
        self._cooldowns(request, policy.version).rest(step.drawn.arm, until)
        if attempt.failure not in policy.fallback_on:
            return None
        request.journey.failed(attempt.failure)
        return self._draw(request)

    def _cooldowns(self, request: _Request, version: str) -> Cooldowns:
        canary = request.journey.split.canary
        return self._of_canaries[version] if canary and canary.version == version else self.cooldowns

    async def _try(self, policy: RouterPolicy, arm: str, pixels: list[float]) -> Attempt:
        started = time.perf_counter()

        def elapsed_ms() -> float:
            return (time.perf_counter() - started) * 1e3

        try:
            async with asyncio.timeout(policy.timeout_ms / 1e3):
                response = await self.http.post(f"{self.upstreams[arm]}/v1/classify", json={"pixels": pixels})
            answer = response.json() if response.is_success else {}
            if response.is_success:
                return Attempt(
                    None,
                    elapsed_ms(),
                    http_status=response.status_code,
                    label=int(answer["label"]),
                    queue_ms=float(answer["queue_ms"]),
                    cost_usd=float(answer["cost_usd"]),
                )
        except TimeoutError:
            return Attempt("timeout", elapsed_ms(), error_type="timeout")
        except httpx.TransportError as error:
            return Attempt("error", elapsed_ms(), error_type=type(error).__name__)
        except (ValueError, KeyError, TypeError):
            return Attempt("error", elapsed_ms(), error_type="malformed_answer", http_status=response.status_code)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return Attempt("rate_limit", elapsed_ms(), error_type="rate_limit", http_status=response.status_code)
        return Attempt(
            "error", elapsed_ms(), error_type=f"http_{response.status_code}", http_status=response.status_code
        )

    def _observe(self, request: _Request, occurred_at: datetime) -> None:
        policy, (step, attempt) = request.policy, request.attempts[-1]
        drawn, number = step.drawn, len(request.attempts)
        tags: dict[str, object] = dict(request.journey.split.tags)
        if tags:
            tags["version_propensity"] = step.version_propensity
        if drawn.all_cooling:
            tags["all_cooling"] = True
        outcome = {None: "success", "timeout": "timeout"}.get(attempt.failure, "failure")
        row = {
            "source": COMPONENT,
            "source_id": f"{request.decision_id}:{number}",
            "occurred_at": occurred_at.isoformat(),
            "component": COMPONENT,
            "component_kind": COMPONENT_KIND,
            "policy_id": policy.policy_id,
            "policy_version": policy.version,
            "decision_id": request.decision_id,
            "action": drawn.arm,
            "propensity": drawn.propensity,
            "action_set": list(drawn.action_set),
            "tenant": request.tenant,
            "unit_key": request.unit_key,
            "tags": tags or None,
            "outcome": outcome,
            "error_type": attempt.error_type,
            "http_status": attempt.http_status,
            "attempt": number,
            "duration_ms": attempt.duration_ms,
            "queue_ms": attempt.queue_ms,
            "provider_name": PROVIDER,
            "request_model": drawn.arm,
            "cost_amount": attempt.cost_usd,
            "cost_currency": "USD" if attempt.cost_usd is not None else None,
        }
        observation_id = self.record({name: value for name, value in row.items() if value is not None})
        self.counts[f"attempts.{drawn.arm}.{outcome}"] += 1
        if attempt.failure is None and observation_id is not None:
            self._answers[request.decision_id] = observation_id
            if len(self._answers) > REMEMBERED_ANSWERS:
                self._answers.popitem(last=False)

    def _count(self, request: _Request) -> None:
        policy, (step, last) = request.policy, request.attempts[-1]
        total_ms = sum(attempt.duration_ms for _, attempt in request.attempts)
        cost_usd = sum(attempt.cost_usd or 0.0 for _, attempt in request.attempts)
        self.counts["requests"] += 1
        self.counts["fallbacks"] += len(request.attempts) - 1
        self.counts[f"versions.{policy.version}"] += 1
        self.counts[f"answers.{step.drawn.arm}" if last.failure is None else "failed"] += 1
        self.counts["over_latency_target"] += total_ms > policy.latency_target_ms
        self.counts["over_max_cost"] += cost_usd > policy.max_cost_usd
