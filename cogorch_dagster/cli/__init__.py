"""The `cogorch` command: reads arguments, calls one engine function, prints what came of it.

One file per group of commands. A module here imports nothing but typer at its top, so that `cogorch --help` is quick;
what a command needs, it imports when it runs.
"""

import os
import sys

import typer

from cogorch_dagster.cli import (
    agents,
    audit,
    canary,
    causal,
    doctor,
    evaluate,
    features,
    flags,
    fleet,
    guard,
    incidents,
    nash,
    observations,
    policy,
    registry,
    run,
    setup,
    stats,
    token,
    tune,
)
from cogorch_dagster.cli.failures import EXIT_CODES, UsageError, report_error, report_usage, require_text
from cogorch_dagster.cli.output import examples
from cogorch_dagster.errors import CogorchError

app = typer.Typer(
    name="cogorch",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Observe a fleet, score it, learn, and propose policies that somebody approves.",
    epilog=examples("cogorch up", "cogorch policy approve router-core@1.0.1 --reason 'cheaper, same quality'")
    + "\n\n"
    + EXIT_CODES,
)
app.command("setup", short_help="Prepare everything; safe to repeat.", epilog=setup.SETUP_EPILOG)(setup.setup)
app.command("up", short_help="Start everything and keep it running.", epilog=run.UP_EPILOG)(run.up)
app.command("down", short_help="Stop everything.", epilog=run.DOWN_EPILOG)(run.down)
app.command("demo", short_help="The whole loop on a small real fleet.", epilog=run.DEMO_EPILOG)(run.demo)
app.command("doctor", short_help="Check everything, name remedies.", epilog=doctor.DOCTOR_EPILOG)(doctor.doctor)
app.add_typer(observations.app, name="observations", short_help="Import files, look at single rows.")
app.command("stats", short_help="Rolling statistics of the fleet.", epilog=stats.STATS_EPILOG)(stats.stats)
app.add_typer(policy.app, name="policy", short_help="Look, propose, decide, activate.")
app.command("evaluate", short_help="What a policy would have been worth.", epilog=evaluate.EVALUATE_EPILOG)(
    evaluate.evaluate
)
app.command("nash", short_help="Equilibrium of a game in a file.", epilog=nash.NASH_EPILOG)(nash.nash)
app.add_typer(causal.app, name="causal", short_help="Causes, effects, what-if, and what changed.")
app.add_typer(agents.app, name="agents", short_help="Train and compare the fleet's agents.")
app.add_typer(tune.app, name="tune", short_help="Search better hyperparameters of an agent.")
app.add_typer(registry.app, name="registry", short_help="What was trained, version by version.")
app.add_typer(features.app, name="features", short_help="Features of decisions, and what they are worth.")
app.add_typer(guard.app, name="guard", short_help="Rules that must hold whatever is proposed.")
app.add_typer(canary.app, name="canary", short_help="Versions that take over traffic by steps.")
app.add_typer(audit.app, name="audit", short_help="The log of all that happened.")
app.command("lineage", short_help="Where a version comes from.", epilog=audit.LINEAGE_EPILOG)(audit.lineage)
app.add_typer(incidents.app, name="incidents", short_help="Incidents and regime changes.")
app.add_typer(fleet.app, name="fleet", short_help="Calibrate the simulated fleet.")
app.add_typer(flags.app, name="flags", short_help="Switches; learning.enabled stops learning.")
app.add_typer(token.app, name="token", short_help="Who may talk to the service.")


def main() -> None:
    """Entry point of the console script."""
    arguments = sys.argv[1:]
    as_json = "--json" in arguments
    try:
        require_text(arguments)
        # Not standalone: a usage error comes out of here instead of ending the process, and an exit code comes back.
        sys.exit(app(prog_name="cogorch", standalone_mode=False))
    except UsageError as error:
        sys.exit(report_usage(error, as_json))
    except CogorchError as error:
        sys.exit(report_error(error, as_json))
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemError as error:
        # What compiled code makes of an interrupt that meets it.
        if not _interrupted(error):
            raise
        sys.exit(130)
    except BrokenPipeError:
        # The reader has seen enough; Python would complain once more while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _interrupted(error: BaseException | None) -> bool:
    """Whether an error goes back to an interrupt."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
