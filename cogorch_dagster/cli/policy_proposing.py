"""`cogorch policy propose`: a version that was learned, or one of your own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli import policy_hints
from cogorch_dagster.cli.output import ActorOption, JsonOption, Output, acting, examples, load_settings, moment, say
from cogorch_dagster.cli.policy_view import plain, show_changes, show_version

if TYPE_CHECKING:
    from cogorch_dagster.policies.store import PolicyVersion


def register(app: typer.Typer) -> None:
    """Add it to `cogorch policy`."""
    app.command(
        short_help="Propose a version.",
        epilog=examples(
            "cogorch policy propose router-core",
            "cogorch policy propose router-core --params weights.yaml --json",
        ),
    )(propose)


def propose(
    policy_id: Annotated[str, typer.Argument(metavar="POLICY")],
    *,
    params: Annotated[Path | None, typer.Option(help="YAML or JSON with parameters of your own.")] = None,
    since: Annotated[str | None, typer.Option(help="Learn from decisions from this time on, ISO 8601, UTC.")] = None,
    until: Annotated[str | None, typer.Option(help="Learn from decisions before this time.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the search; default 0.")] = None,
    step_limit: Annotated[float | None, typer.Option(help="Largest change of one weight; default 0.5.")] = None,
    minimum_gain: Annotated[
        float | None, typer.Option(help="Least lower 95 % bound of the improvement; default 0.01.")
    ] = None,
    minimum_ess: Annotated[float | None, typer.Option(help="Least effective sample size; default 50.")] = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a version: learned from what was observed, or with --params one of your own.

    Exit code 3 when nothing can be proposed; the reason is printed, with --json as {"refusal": {"reason", "message"}}.
    """
    out = Output(as_json)
    from cogorch_dagster.errors import InvalidInput, Refused

    learned = _given(since=moment(since), until=moment(until), seed=seed)
    limits = _given(step_limit=step_limit, minimum_gain=minimum_gain, minimum_ess=minimum_ess)
    if params is not None and (learned or limits):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in (*learned, *limits))
        raise InvalidInput(f"{names} belong to a learned proposal; leave them out with --params")
    try:
        if params is not None:
            version = _propose_params(policy_id, params, acting(actor))
        else:
            version = _propose_learned(policy_id, learned, limits, acting(actor))
    except Refused as refusal:
        say(f"refused ({refusal.reason}): {refusal}")
        shown = {"reason": refusal.reason, "message": str(refusal), "evidence": getattr(refusal, "evidence", {})}
        out.result({"policy_id": policy_id, "reason": refusal.reason, "refusal": shown}, lambda: None)
        raise typer.Exit(refusal.exit_code) from None
    _report_proposal(out, version)


def _propose_params(policy_id: str, params: Path, actor: str) -> "PolicyVersion":
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import drafts, store
    from cogorch_dagster.policies.params_file import params_from_file

    with transaction(load_settings()) as connection:
        policy = store.policy(connection, policy_id)
        try:
            document = params_from_file(params, policy.kind)
        except InvalidInput as error:
            # The schema knows neither the level nor the version in force.
            hints = policy_hints.possible_now(connection, policy, str(error))
            raise InvalidInput("\n".join([str(error), *hints])) from error
        return drafts.propose_version(connection, policy_id, document, actor=actor)


def _propose_learned(policy_id: str, learned: dict[str, Any], limits: dict[str, Any], actor: str) -> "PolicyVersion":
    from cogorch_dagster.observations import inbox
    from cogorch_dagster.platform import run_state
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.proposals import router
    from cogorch_dagster.proposals.limits import Limits
    from cogorch_dagster.proposals.requirements import Insufficient

    settings = load_settings()
    with transaction(settings) as connection:
        policy_hints.require_learnable(store.policy(connection, policy_id))
    if not run_state.is_up(settings):
        # Without the daemon nobody else moves what the service has accepted.
        inbox.drain(settings)
    answer = router.propose(settings, policy_id, limits=Limits(**limits), actor=actor, **learned)
    if isinstance(answer, router.Refusal):
        raise Insufficient(answer.reason, answer.message, answer.evidence)
    return answer.version


def _given(**options: object) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _report_proposal(out: Output, version: "PolicyVersion") -> None:
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.policies.diff import diff as compare

    with transaction(load_settings()) as connection:
        parent = store.version(connection, version.policy_id, version.parent) if version.parent else None
    changes = compare(parent.params if parent else {}, version.params)

    def print_it() -> None:
        show_version(version)
        show_changes(f"{parent.ref if parent else 'nothing'} -> {version.ref}", changes)

    out.result({**plain(version), "changes": changes}, print_it)
    if hint := policy_hints.new_architecture(parent, version):
        say(hint)
    if version.status == "draft":
        say(f"Next: cogorch policy approve {version.ref} --reason '...'")
