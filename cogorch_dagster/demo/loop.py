"""The steps of the demo, in the order in which they happen."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from cogorch_dagster.demo import figure
from cogorch_dagster.demo.report import Report
from cogorch_dagster.demo.result import DemoOptions, DemoResult, Measured, Proposal
from cogorch_dagster.errors import CogorchError, Refused, Unavailable
from cogorch_dagster.evaluation.measurement import measure
from cogorch_dagster.lab import fleet, load
from cogorch_dagster.lab.fleet import Fleet
from cogorch_dagster.lab.load import LoadReport
from cogorch_dagster.platform import dagster_instance, ports, postgres, processes, run_state, stack
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import activation, canary, decisions, ramps, store
from cogorch_dagster.service import tokens
from cogorch_dagster.settings import Settings
from cogorch_dagster.setup import prepare_databases

POLICY = "router-core"
BASELINE = "1.0.0"
ACTOR = "demo"
SETTLE_S = 30.0


def run(settings: Settings, options: DemoOptions) -> DemoResult:
    """Go through the whole loop; stops whatever it started, also on Ctrl-C.

    Raises:
        Refused: the traffic did not justify a proposal; the message says why.
        Unavailable: a process of the lab, the service or PostgreSQL did not start.
    """
    report = Report(total=6)
    with ExitStack() as running:
        report.step("PostgreSQL, schema, seeded policies")
        running.enter_context(_postgres(settings))
        prepare_databases(settings)
        _restore_baseline(settings, report)

        report.step("The lab: three model servers, a router, the service")
        lab = _start_lab(settings, options, running, report)
        before = _load(lab, options, report)

        report.step("Observations, rewards, statistics and a proposal, through Dagster")
        _settle(settings, lab)
        learned = _job(settings, report, "learning_loop", *_range(before), "--since", before.started_at.isoformat())
        report.job(learned)
        proposal = _proposal(settings, learned)

        report.step(f"The proposal {proposal.ref}")
        report.proposal(proposal, [check for check in learned["checks"] if check["name"] == "policy_approved"])

        report.step("Approval, activation, and the router switches while it runs")
        switch_ms = _approve_and_activate(settings, lab, proposal, report)

        report.step("The same load again, and what came of it")
        after = _load(lab, options, report)
        _settle(settings, lab)
        report.job(_job(settings, report, "learning_loop", *_range(after), "--score-only"))
        result = _result(settings, options, proposal, switch_ms, before, after)
        report.result(result, settings)
        if options.keep_running:
            _keep_running(lab, options, report)
    return result


@contextmanager
def _postgres(settings: Settings) -> Iterator[None]:
    was_running = not postgres.is_embedded(settings) or postgres.server_pid(settings) is not None
    postgres.ensure_running(settings)
    try:
        yield
    finally:
        if not was_running and not run_state.is_up(settings):
            postgres.stop(settings)


def _restore_baseline(settings: Settings, report: Report) -> None:
    """Return to the seeded version, so that a second demo starts where the first one did."""
    with transaction(settings) as connection:
        if (ramp := ramps.running(connection, POLICY)) is not None:
            canary.abort(connection, ramp, ACTOR, "the demo starts from the seeded version", {})
            report.line(f"ended the ramp of {ramp.ref}")
        current = store.active(connection, POLICY)
        if current is None or current.version == BASELINE:
            report.line(f"{POLICY}@{BASELINE} is active")
            return
        decision = decisions.rollback(connection, POLICY, BASELINE, ACTOR, "the demo starts from the seeded version")
        activation.activate(connection, decision.decision_id, ACTOR)
    report.line(f"rolled back from {current.ref} to {POLICY}@{BASELINE}, to start from there")


def _start_lab(settings: Settings, options: DemoOptions, running: ExitStack, report: Report) -> Fleet:
    secret = _issue_tokens(settings)
    running.callback(_revoke_tokens, settings)
    running.enter_context(_service(settings))
    report.line(f"service {settings.service_url}")
    lab = running.enter_context(
        fleet.running(settings, settings.service_url, secret, secret, policy_id=POLICY, seed=options.seed)
    )
    for model, server in lab.servers.items():
        report.line(f"{model:<16} {server.url}  accuracy {server.accuracy:.1%} on images it never saw")
    report.line(f"{'router':<16} {lab.router_url}  follows {POLICY}@{lab.status()['version']}")
    return lab


def _issue_tokens(settings: Settings) -> str:
    with transaction(settings) as connection:
        return tokens.issue(connection, "demo", ["ingest", "read"], replace=True, actor=ACTOR)


def _revoke_tokens(settings: Settings) -> None:
    with transaction(settings) as connection:
        tokens.revoke(connection, "demo", actor=ACTOR)


@contextmanager
def _service(settings: Settings) -> Iterator[None]:
    """The service of `cogorch up` when that runs, otherwise one of our own."""
    if run_state.is_up(settings):
        yield
        return
    ports.require_free(ports.service(settings))
    part = stack.service(settings)
    records: list[processes.ProcessRecord] = []
    child = processes.spawn(part.command, settings.home, records.append)
    try:
        _wait(part.ready, part.ready_within_s, lambda: child.poll() is not None, f"the service; see {part.command.log}")
        yield
    finally:
        processes.stop_each(records, lambda _: None)


def _load(lab: Fleet, options: DemoOptions, report: Report) -> LoadReport:
    with report.progress(f"{options.count} requests at {options.rate:g}/s", options.count) as advance:
        done = load.run(
            lab.router_url,
            rate=options.rate,
            count=options.count,
            seed=options.seed,
            progress=lambda now: advance(now.sent),
        )
    report.load(done)
    return done


def _settle(settings: Settings, lab: Fleet) -> None:
    """Wait until the service has acknowledged all that the router observed."""
    log = stack.log_file(settings, "service")
    _wait(lab.flush, SETTLE_S, lambda: False, f"the router's observations to be acknowledged; see {log}")


def _range(done: LoadReport) -> tuple[str, str]:
    """The hours that a load touched, as the arguments of a job."""
    return done.started_at.isoformat(), done.finished_at.isoformat()


def _job(settings: Settings, report: Report, name: str, *arguments: str) -> dict[str, Any]:
    """Run one of Dagster's jobs on the installation's instance in a process of its own."""
    environment = {**os.environ, **dagster_instance.environment(settings)}
    dagster_instance.write_instance(settings)
    log = stack.log_file(settings, "demo-dagster")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors, report.waiting(f"Dagster runs {name}"):
        done = subprocess.run(
            [sys.executable, "-m", "jobs.execute", name, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            check=False,
        )
    lines = done.stdout.decode().splitlines()
    if done.returncode != 0 or not lines:
        raise CogorchError(f"The job {name} failed. Last lines of {log}:\n{processes.log_tail(log)}")
    outcome: dict[str, Any] = json.loads(lines[-1])
    return outcome


def _proposal(settings: Settings, learned: dict[str, Any]) -> Proposal:
    with transaction(settings) as connection:
        drafts = store.versions(connection, POLICY, status="draft")
        parent = store.active(connection, POLICY)
    if not drafts or parent is None:
        refusal = learned["assets"].get("policy_versions") or "no reason was recorded"
        raise Refused("no_proposal", f"The traffic did not justify a new version of {POLICY}: {refusal}")
    return Proposal.of(drafts[-1], parent)


def _approve_and_activate(settings: Settings, lab: Fleet, proposal: Proposal, report: Report) -> float:
    reason = f"estimated {proposal.estimate:+.3f}, interval above {proposal.ci95[0]:+.3f}"
    command = ["policy", "approve", proposal.ref, "--reason", reason]
    report.command("cogorch", *command)
    environment = {**os.environ, **dagster_instance.environment(settings)}
    approved = subprocess.run(
        [sys.executable, "-m", "cogorch_dagster.cli", *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if approved.returncode != 0:
        raise CogorchError(f"The approval of {proposal.ref} failed: {approved.stderr.strip()}")
    report.job(_job(settings, report, "activation"))
    _end_ramp(settings, report)
    _wait(
        lambda: lab.status()["version"] == proposal.version,
        SETTLE_S,
        lambda: False,
        f"the router to switch to {proposal.ref}",
    )
    with transaction(settings) as connection:
        activated_at = store.version(connection, POLICY, proposal.version).activated_at
    if activated_at is None:
        raise CogorchError(f"{proposal.ref} has no time of activation; run `cogorch audit verify`")
    switch_ms = float(lab.status()["applied_at_ms"]) - activated_at.timestamp() * 1e3
    report.line(f"the running router switched to {proposal.version} after {switch_ms:.0f} ms, without a restart")
    return switch_ms


def _end_ramp(settings: Settings, report: Report) -> None:
    """Where a canary document applies, the demo is the person who gives the version everything: it measures wholes."""
    with transaction(settings) as connection:
        moved: object = ramps.running(connection, POLICY)
        while isinstance(moved, ramps.Ramp):
            report.line(f"{moved.ref} ramps by {moved.plan.ref}; the demo lets it pass {moved.share:.0%}")
            moved = canary.advance(connection, moved, ACTOR, "the demo compares whole versions", {})


def _result(
    settings: Settings,
    options: DemoOptions,
    proposal: Proposal,
    switch_ms: float,
    before: LoadReport,
    after: LoadReport,
) -> DemoResult:
    # The load has judged every answer by now, so no decision is left out for feedback that may still come.
    judged = timedelta(0)
    measured = Measured.of(
        measure(settings, POLICY, proposal.parent, before.started_at, after.started_at, feedback_delay=judged),
        measure(settings, POLICY, proposal.version, after.started_at, datetime.now(UTC), feedback_delay=judged),
    )
    path = settings.home / "demo" / "result.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    result = DemoResult(proposal, measured, switch_ms, before.failed + after.failed, options.seed, str(path))
    figure.draw(result, path)
    return result


def _keep_running(lab: Fleet, options: DemoOptions, report: Report) -> None:
    """Send load after load, each with a seed of its own, until Ctrl-C."""
    report.line("The lab keeps running under load; Ctrl-C ends it.")
    try:
        while True:
            load.run(lab.router_url, rate=options.rate, count=options.count, seed=secrets.randbits(31))
    except KeyboardInterrupt:
        report.line("stopping")


def _wait(ready: Callable[[], bool], within_s: float, ended: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + within_s
    while not ready():
        if ended() or time.monotonic() > deadline:
            raise Unavailable(f"Waited {within_s:.0f} s in vain for {what}.")
        time.sleep(0.05)
