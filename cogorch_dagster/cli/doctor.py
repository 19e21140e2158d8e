"""`cogorch doctor`."""

import sys

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, load_settings

DOCTOR_EPILOG = examples("cogorch doctor", "cogorch doctor --json | jq '.checks[] | select(.ok | not)'")


def doctor(as_json: JsonOption = False) -> None:
    """Check everything that cogorch needs and name the remedy of what is wrong.

    Exit code 1 when something fails that is required.
    """
    out = Output(as_json)
    from cogorch_dagster.doctor import diagnose

    found = []
    for check in diagnose(load_settings()):
        found.append(check)
        if not as_json:
            mark = "ok  " if check.ok else ("FAIL" if check.required else "note")
            print(f"{mark} {check.name:<16} {check.detail}", flush=True)
            if not check.ok:
                print(f"     {'':<16} -> {check.remedy}", flush=True)
    sound = all(check.ok for check in found if check.required)
    out.result({"ok": sound, "checks": found}, lambda: print("All is well." if sound else "Something is wrong."))
    sys.stdout.flush()
    raise typer.Exit(0 if sound else 1)
