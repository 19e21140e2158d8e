"""`cogorch evaluate`: what a policy would have been worth, from decisions that another one made."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, load_settings, say, table, text, when
from cogorch_dagster.cli.pictures import IMAGES, image_of, require_image, write_picture
from cogorch_dagster.cli.policy_options import names_version

if TYPE_CHECKING:
    import sqlalchemy as sa

    from cogorch_dagster.evaluation.report import Evaluation
    from cogorch_dagster.evaluation.router import RouterEvaluation

EVALUATE_EPILOG = examples(
    "cogorch evaluate --policy new.yaml --since 7d",
    "cogorch evaluate --policy router-core@1.0.1 --since 24h --context task --plot forest.png",
    "cogorch evaluate --policy new.yaml --features none",
)
_VALUE = ("value", "95 % interval")


def evaluate(
    *,
    policy: Annotated[
        str, typer.Option(metavar="FILE|POLICY@VERSION", help="YAML or JSON with a router's parameters, or a version.")
    ],
    log_of: Annotated[
        str | None,
        typer.Option(metavar="POLICY", help="Whose decisions to use; default: the version's, or the only router's."),
    ] = None,
    since: Annotated[str, typer.Option(help="An age such as 90m, 24h or 7d, or a time, ISO 8601, UTC.")] = "7d",
    until: Annotated[
        str | None, typer.Option(help="Only decisions before this time, or of this age and older.")
    ] = None,
    context: Annotated[str | None, typer.Option(metavar="KEY", help="Slice by this key of the context too.")] = None,
    features: Annotated[
        str,
        typer.Option(
            metavar="none|current|DIGEST",
            help="Features for the model of the reward; current: those in force when the period began.",
        ),
    ] = "current",
    plot: Annotated[Path | None, typer.Option(help="Write a forest plot there, .png, .svg or .pdf.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate what a router's policy would have been worth, overall and by tenant, against the version in force.

    Features never speak to decisions that they were selected on: there the means by arm and tenant are expected.

    Exit code 3 when the decisions cannot answer; the reason is printed, with --json as {"refusal": {"reason", ...}}.
    """
    out = Output(as_json)
    from cogorch_dagster.evaluation.document import report_document
    from cogorch_dagster.evaluation.forest import forest_plot
    from cogorch_dagster.evaluation.measurement import period
    from cogorch_dagster.evaluation.router import evaluate_router
    from cogorch_dagster.features.in_force import chosen
    from cogorch_dagster.platform.database import transaction

    require_image(plot, IMAGES)
    settings = load_settings()
    begin, end = period(when(since), when(until) if until else None)
    with transaction(settings) as connection:
        policy_id, params = _target(connection, policy, log_of)
        baseline = _in_force(connection, policy_id)
    _bring_in()
    found = evaluate_router(
        settings,
        policy_id,
        params,
        begin,
        end,
        baseline=baseline and baseline[1],
        baseline_name=baseline[0] if baseline else "",
        context_key=context,
        features=chosen(settings, policy_id, features, begin),
    )
    if plot is not None:
        write_picture(plot, forest_plot(found.report, f"{policy} on decisions of {policy_id}", image_of(plot)))
    document = report_document(found.report)
    refusal = document["refusal"]
    value = {
        "policy": policy,
        "log_of": policy_id,
        "since": begin,
        "until": end,
        "decisions_left_out": found.decisions.left_out,
        **({} if found.features is None else {"features": found.features.document()}),
        **({"reason": refusal["reason"]} if refusal else {}),
        **document,
    }
    out.result(value, lambda: _show(found))
    if refusal:
        say(f"refused ({refusal['reason']}): {refusal['message']}")
        raise typer.Exit(3)


def _target(connection: "sa.Connection", given: str, log_of: str | None) -> tuple[str, dict[str, Any]]:
    """Whose decisions to use, and the parameters to evaluate on them."""
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.policies import store
    from cogorch_dagster.policies.document import parse_ref
    from cogorch_dagster.policies.params_file import params_from_file

    if names_version(given):
        policy_id, number = parse_ref(given)
        kind, params = store.policy(connection, policy_id).kind, store.version(connection, policy_id, number).params
        if kind != "router":
            raise InvalidInput(f"{given} is of kind {kind}; policies of kind router can be evaluated")
        return policy_id if log_of is None else store.policy(connection, log_of).policy_id, params
    params = params_from_file(Path(given), "router")
    if log_of is not None:
        return store.policy(connection, log_of).policy_id, params
    routers = [each.policy_id for each in store.policies(connection, "router")]
    if len(routers) != 1:
        known = ", ".join(routers) or "none"
        raise InvalidInput(f"policies of kind router: {known}; say with --log-of whose decisions to use")
    return routers[0], params


def _in_force(connection: "sa.Connection", policy_id: str) -> tuple[str, dict[str, Any]] | None:
    from cogorch_dagster.policies import store

    active = store.active(connection, policy_id)
    return None if active is None else (active.ref, active.params)


def _bring_in() -> None:
    """Without the daemon nobody else moves what the service has accepted into the lake."""
    from cogorch_dagster.observations import inbox
    from cogorch_dagster.platform import run_state

    settings = load_settings()
    if not run_state.is_up(settings):
        inbox.drain(settings)


def _show(found: "RouterEvaluation") -> None:
    report, decisions = found.report, found.decisions
    held = report.overall.support
    left_out = ", ".join(f"{count} {reason}" for reason, count in decisions.left_out.items())
    fields(
        [
            ("decisions", f"{held.decisions:,}" + (f" (left out: {left_out})" if left_out else "")),
            ("effective sample size", held.effective_sample_size),
            ("largest weight", held.largest_weight),
            ("mean weight", f"{held.mean_weight:.4f} ± {held.mean_weight_se:.4f}"),
            *([] if found.features is None else [("features", str(found.features))]),
        ]
    )
    if report.overall.estimates:
        print()
        rows = [(name, each.value, _interval(each.ci95), each.se) for name, each in report.overall.estimates.items()]
        table(("estimator", *_VALUE, "error"), rows, right=(*_VALUE, "error"))
    print()
    columns = ("logged", "share", "of the policy", "effective", "largest weight")
    overlap = [
        (o.arm, o.logged, o.logged_share, o.target_share, o.effective_sample_size, o.largest_weight)
        for o in held.overlap
    ]
    table(("arm", *columns), overlap, right=columns)
    print()
    numbers = ("decisions", "effective", *_VALUE, f"minus {report.baseline}", "interval")
    slices = [_row("all", report.overall)]
    slices += [_row(f"{each.slicing} {each.label}", each.evaluation) for each in report.slices]
    table(("slice", *numbers, ""), slices, right=numbers)


def _row(name: str, found: "Evaluation") -> tuple[object, ...]:
    held = found.support
    if found.refusal is not None:
        return (
            name,
            held.decisions,
            held.effective_sample_size,
            None,
            None,
            None,
            None,
            f"refused: {found.refusal.reason}",
        )
    dr, apart = found.estimates["dr"], found.difference
    said = "" if apart is None or not apart.found else "better" if apart.value > 0 else "worse"
    difference = (None, None) if apart is None else (apart.value, _interval(apart.interval))
    return (name, held.decisions, held.effective_sample_size, dr.value, _interval(dr.ci95), *difference, said)


def _interval(bounds: tuple[float, float]) -> str:
    return f"{text(bounds[0])} to {text(bounds[1])}"
