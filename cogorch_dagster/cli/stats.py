"""`cogorch stats`: how the fleet does."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, load_settings, moment, say, table

if TYPE_CHECKING:
    from cogorch_dagster.settings import Settings

STATS_EPILOG = examples("cogorch stats", "cogorch stats --component router:core --window 24h --json")


def stats(
    component: Annotated[str | None, typer.Option(help="Only this component.")] = None,
    window: Annotated[str | None, typer.Option(help="Only 1h, 24h or 7d.")] = None,
    as_of: Annotated[str | None, typer.Option(help="End of the windows, ISO 8601, UTC; default: now.")] = None,
    refresh: Annotated[
        bool | None,
        typer.Option(help="Score new hours first; default: only while `cogorch up`, whose daemon does it, is down."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Rolling statistics over 1 h, 24 h and 7 d per component and policy version, each mean with its standard error."""
    out = Output(as_json)
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.platform import run_state
    from cogorch_dagster.rewards.rolling import WINDOWS, rolling_stats

    settings = load_settings()
    if window is not None and window not in WINDOWS:
        raise InvalidInput(f"window {window!r} is none of {', '.join(WINDOWS)}")
    _bring_up_to_date(settings, refresh if refresh is not None else not run_state.is_up(settings))
    rows = rolling_stats(settings, as_of=moment(as_of) or _end(settings), component=component)
    rows = [row for row in rows if window in (None, row.window)]
    columns = ("component", "version", "window", "n", "success", "p50 ms", "p95 ms", "mean cost", "mean reward")

    def show() -> None:
        shown = [
            (
                *(
                    row.component,
                    f"{row.policy_id}@{row.policy_version}" if row.policy_version else "all",
                    row.window,
                    row.n,
                ),
                *(_share(row.success_rate), row.p50_ms, row.p95_ms),
                *(_with_error(row.mean_cost, row.mean_cost_se), _with_error(row.mean_reward, row.mean_reward_se)),
            )
            for row in rows
        ]
        table(columns, shown, right=columns[3:])
        if rows:
            print(f"as of {rows[0].as_of:%Y-%m-%d %H:%M}Z; means ± their standard error")

    if not rows:
        say("No scored observations in these windows; import some or send them to the service.")
    out.result(rows, show)


def _bring_up_to_date(settings: "Settings", refresh: bool) -> None:
    from cogorch_dagster.observations import inbox
    from cogorch_dagster.rewards import materialise

    if refresh:
        inbox.drain(settings)
    stale = materialise.stale_hours(settings)
    if not stale:
        return
    if not refresh:
        hours = "1 hour waits" if len(stale) == 1 else f"{len(stale)} hours wait"
        say(f"{hours} for scoring; the daemon does it, `cogorch stats --refresh` does it now.")
        return
    say(f"scoring {len(stale)} hours")
    materialise.materialise_rewards(settings, stale)
    materialise.materialise_rollups(settings, stale)


def _end(settings: "Settings") -> datetime | None:
    """Now, or the end of the newest hour when the fleet has been silent for longer than every window."""
    from datetime import UTC, timedelta

    from cogorch_dagster.lake import catalogue
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.rewards.rolling import WINDOWS

    now = datetime.now(UTC)
    with transaction(settings) as connection:
        hours = catalogue.entries(connection, "rollups")
    if not hours or hours[-1].hour > now - max(WINDOWS.values()):
        return now
    say(f"The newest observations are of {hours[-1].hour:%Y-%m-%d %H}h; the windows end there, not now.")
    return hours[-1].hour + timedelta(hours=1)


def _share(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.2f} %"


def _with_error(value: float | None, error: float | None) -> str | None:
    if value is None or error is None:
        return None if value is None else f"{value:.4g}"
    # Less than that is what rounding leaves of equal values.
    return f"{value:.4g} ± {error if error > 1e-6 * abs(value) else 0:.2g}"
