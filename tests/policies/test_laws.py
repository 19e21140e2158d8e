"""Laws of the life cycle under any sequence of steps, legal or not, on a real database."""

import uuid
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, audit, autonomy, decisions, drafts, flags, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.settings import Settings

REASONS = {
    "already_active", "already_approved", "already_claimed", "expired", "learning_disabled", "never_active",
    "no_change", "not_a_draft", "not_approved", "rejected", "superseded",
}  # fmt: skip
OPEN = ("draft", "approved")
picks = st.integers(0, 10**6)


def test_life_cycle(settings: Settings, params: Any) -> None:
    class LifeCycle(RuleBasedStateMachine):
        """Each example lives on a policy of its own; the audit log is common to all."""

        def __init__(self) -> None:
            super().__init__()
            self.policy = f"p-{uuid.uuid4().hex[:10]}"
            self.activations = 0
            self.refusals: set[str] = set()
            with transaction(settings) as connection:
                flags.set_flag(connection, flags.LEARNING, True, actor="law", reason="fresh example")
                administration.create_policy(connection, self.policy, "router", actor="law")

        def step(self, action: Any) -> Any:
            """Run one step in a transaction of its own; a refusal must have changed nothing."""
            before = self.everything()
            try:
                with transaction(settings) as connection:
                    return action(connection)
            except Refused as refused:
                assert refused.reason in REASONS
                assert self.everything() == before
                return None

        def everything(self) -> Any:
            with transaction(settings) as connection:
                return (
                    store.versions(connection, self.policy),
                    decisions.decisions_of(connection, self.policy),
                    audit.records(connection, limit=1),
                )

        def pick(self, number: int) -> str:
            with transaction(settings) as connection:
                known = store.versions(connection, self.policy)
            return known[-1 - number % min(len(known), 4)].version

        @rule(weight=st.sampled_from([0.1, 0.3, 0.6]), bump=st.sampled_from(["patch", "minor"]), low=st.floats(-1, 1))
        def propose(self, weight: float, bump: Any, low: float) -> None:
            evidence = {"ci95": [low, low + 0.1]}
            self.step(lambda c: drafts.propose_version(c, self.policy, params(weight), evidence, actor="l", bump=bump))

        @precondition(lambda self: self.has_versions())
        @rule(
            number=picks, what=st.sampled_from([decisions.approve] * 3 + [decisions.rollback] * 2 + [decisions.reject])
        )
        def decide(self, number: int, what: Any) -> None:
            self.step(lambda c: what(c, self.policy, self.pick(number), "law", "because"))

        @precondition(lambda self: self.has_versions())
        @rule(number=picks)
        def activate_any(self, number: int) -> None:
            done = self.step(lambda c: activate(c, f"{self.policy}@{self.pick(number)}", "law"))
            self.activations += done is not None

        @rule()
        def activate_waiting(self) -> None:
            def run(connection: Any) -> Any:
                return [
                    activate(connection, each.decision_id, "job") for each in decisions.waiting(connection, self.policy)
                ]

            self.activations += len(self.step(run) or [])

        @precondition(lambda self: self.has_versions())
        @rule(mode=st.sampled_from(administration.MODES), number=picks)
        def let_the_mode_decide(self, mode: store.Mode, number: int) -> None:
            def run(connection: Any) -> Any:
                administration.set_mode(connection, self.policy, mode, actor="law", reason="trial")
                return autonomy.apply_mode(connection, self.policy, self.pick(number))

            decision = self.step(run)
            assert decision is None or decision.actor == f"rule:{mode}" != "rule:manual"

        @rule(value=st.booleans())
        def switch(self, value: bool) -> None:
            self.step(lambda c: flags.set_flag(c, flags.LEARNING, value, actor="law", reason="trial"))

        @rule()
        def expire(self) -> None:
            self.step(lambda c: drafts.expire_drafts(c, timedelta(0)))

        def has_versions(self) -> bool:
            return bool(self.everything()[0])

        @invariant()
        def laws(self) -> None:
            with transaction(settings) as connection:
                versions = store.versions(connection, self.policy)
                made = decisions.decisions_of(connection, self.policy)
                assert audit.verify(connection).ok
            active = [each for each in versions if each.status == "active"]
            claimed = [each for each in made if each.claimed_at is not None]
            waiting = [each for each in made if each.waits]
            assert len(active) <= 1
            assert len(active) == (self.activations > 0)
            assert len(claimed) == self.activations
            assert len(waiting) <= 1
            for each in active:
                last = max(claimed, key=lambda decision: decision.claimed_at)
                assert (last.version, last.digest) == (each.version, each.digest)
            assert all(each.digest_matches for each in versions)
            assert sum(each.status == "draft" for each in versions) <= 1
            approved = [each.version for each in versions if each.status == "approved"]
            assert approved == [each.version for each in waiting if each.action == "approve"]
            in_force = active[0].version if active else None
            assert all(each.parent == in_force for each in versions if each.status in OPEN)
            assert all((each.ended_at is None) == (each.status in (*OPEN, "active")) for each in versions)

    run_state_machine_as_test(
        LifeCycle,
        settings=hypothesis_settings(max_examples=12, stateful_step_count=25, deadline=None),
    )
