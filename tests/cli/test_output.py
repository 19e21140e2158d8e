"""What every command has in common: help with an example, exit codes, JSON alone on stdout, quick to start."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cogorch_dagster.cli import app
from cogorch_dagster.cli.output import moment, text, when
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.settings import Settings
from tests.cli.conftest import COMMAND, Run


def _commands(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*path, name))


COMMANDS = sorted(_commands(get_command(app)))


def test_the_commands_of_the_manual_are_there() -> None:
    there = {" ".join(path) for path in COMMANDS}
    wanted = {
        *("setup", "up", "down", "demo", "doctor", "stats", "lineage"),
        *("observations import", "observations show"),
        *(f"policy {name}" for name in ("list", "show", "diff", "propose", "approve", "reject", "rollback")),
        *("policy activate", "policy mode", "audit log", "audit verify", "audit lineage"),
        *("flags list", "flags set", "token create", "token list", "token revoke"),
    }
    assert wanted <= there


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_has_an_example_and_fits_80_columns(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output
    assert "cogorch " + " ".join(path) in shown.output
    lines = shown.output.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    summaries = lines[lines.index("Commands:") :] if "Commands:" in lines else []
    assert [line for line in summaries if line.endswith("...")] == [], "cut off; give it a short_help"


def test_the_help_names_the_exit_codes() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert [code for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "130 ") if f"\n    {code}" not in shown] == []


def test_the_help_is_printed_without_loading_the_engine() -> None:
    heavy = ["sqlalchemy", "pandas", "pyarrow", "duckdb", "pydantic", "rich", "psutil", "psycopg", "yaml", "dagster"]
    program = (
        "import sys\nsys.argv = ['cogorch', '--help']\n"
        "from cogorch_dagster.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Commands:" in done.stdout
    assert done.stderr.strip() == "[]"


def test_json_is_alone_on_stdout_whatever_libraries_and_children_print() -> None:
    program = (
        "import os, subprocess, sys, warnings\n"
        "from cogorch_dagster.cli.output import Output\n"
        "out = Output(True)\n"
        "print('a library prints')\n"
        "sys.stdout.write('and writes without an end of line')\n"
        "os.write(1, b'a library in C\\n')\n"
        "subprocess.run(['echo', 'a child'], check=True)\n"
        "warnings.warn('a warning')\n"
        "out.result({'nan': float('nan'), 'text': 'ü', 'path': os.fsdecode(b'\\xff')}, lambda: None)\n"
        "print('at the end')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"nan": None, "text": "ü", "path": os.fsdecode(b"\xff")}
    assert done.stdout.count("\n") == 1
    for noise in ("a library prints", "without an end", "a library in C", "a child", "a warning", "at the end"):
        assert noise in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["features", "build", "--seed", "-1"], "--seed"),
        (["demo", "--seed", "-1"], "--seed"),
        (["audit", "log", "--before", str(2**63)], "--before"),
        (["policy", "shwo"], "Did you mean"),
        (["stats", "--nonsense"], "No such option"),
        (["policy", "approve", "router-core@1.0.1"], "--reason"),
        (["audit", "log", "--limit", "0"], "--limit"),
    ],
)
def test_a_wrong_argument_is_exit_code_2(arguments: list[str], message: str) -> None:
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 2
    assert message in ran.stderr
    assert ran.stdout == ""


def test_a_mistake_is_one_message_and_an_exit_code(cogorch: Run) -> None:
    for command, code, message in (
        ("stats --window 2h", 2, "1h, 24h, 7d"),
        ("policy show router-core@one", 2, "MAJOR.MINOR.PATCH"),
        ("flags set learning.enabled maybe --reason x", 2, "true or false"),
        ("observations import nowhere.csv", 2, "nowhere.csv"),
        ("policy show nobody", 3, "unknown_policy"),
    ):
        ran = cogorch(*command.split())
        assert (command, ran.code, ran.out) == (command, code, "")
        assert message in ran.err
        assert "Traceback" not in ran.err


def test_an_error_is_json_too_where_json_was_asked_for(cogorch: Run) -> None:
    ran = cogorch("policy", "show", "nobody", "--json")
    assert ran.code == 3
    assert ran.json["error"]["kind"] == "refused"
    assert ran.json["error"]["reason"] == "unknown_policy"
    assert ran.json["error"]["message"] in ran.err


def test_a_usage_error_is_json_too_where_json_was_asked_for(cogorch: Run) -> None:
    for line, message in (
        ("stats --nonsense --json", "No such option: --nonsense"),
        ("--json policy list", "No such option: --json"),
        ("polcy list --json", "No such command 'polcy'. Did you mean 'policy'?"),
        ("policy shwo --json", "No such command 'shwo'. Did you mean 'show'?"),
        ("policy approve --json router-core@1.0.1", "Missing option '--reason'."),
        ("nash --json", "Missing argument 'FILE'."),
        ("audit log --json --limit 0", "Invalid value for '--limit': "),
        ("audit log --json --limit many", "Invalid value for '--limit': "),
        ("down extra --json", "Got unexpected extra argument(s) (extra)"),
    ):
        ran = cogorch(*line.split())
        error = ran.json["error"]
        assert (line, ran.code, list(ran.json), sorted(error)) == (line, 2, ["error"], ["kind", "message", "reason"])
        assert (error["kind"], error["reason"]) == ("invalid_input", None)
        assert error["message"].startswith(message)
        assert "Usage: cogorch" in ran.err and error["message"] in ran.err


def test_a_usage_error_without_json_leaves_stdout_empty(cogorch: Run) -> None:
    for line in ("stats --nonsense", "policy"):
        ran = cogorch(*line.split())
        assert (ran.code, ran.out) == (2, "")
        assert "Usage: cogorch" in ran.err


def test_an_argument_that_is_not_utf8_is_named(cogorch: Run) -> None:
    for command in (("policy", "show"), ("stats", "--component"), ("observations", "import"), ("stats",)):
        ran = cogorch(*command, os.fsdecode(b"\xff"), "--json")
        assert (ran.code, ran.json["error"]["kind"]) == (2, "invalid_input")
        assert ran.json["error"]["message"].startswith(r"the argument '\udcff' is not UTF-8; ")


def test_an_impossible_setting_is_named(cogorch: Run) -> None:
    ran = cogorch("stats", COGORCH_SERVICE_PORT="many")
    assert ran.code == 2
    assert "COGORCH_SERVICE_PORT='many'" in ran.err
    assert "Traceback" not in ran.err


def test_a_home_that_is_no_folder_and_an_env_that_is_no_text_are_named(cogorch: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    taken = f"{tmp_path / 'file'} is no folder"
    for home, why in (("file", taken), ("file/below", taken), ("n" * 300, "file name too long")):
        ran = cogorch("policy", "list", "--json", COGORCH_HOME=str(tmp_path / home))
        assert ran.code == 2
        assert ran.json["error"]["message"].startswith(f"COGORCH_HOME={tmp_path / home} cannot be made: {why}. ")
    (tmp_path / "cwd" / ".env").write_bytes(b"\xff\xfe")
    ran = cogorch("policy", "list", "--json")
    assert (ran.code, "the file .env cannot be read: it is not text in UTF-8" in ran.err) == (2, True)


def test_an_unreachable_server_is_exit_code_4(cogorch: Run) -> None:
    ran = cogorch("policy", "list", "--json", COGORCH_POSTGRES_URL="postgresql://nobody:secret-word@127.0.0.1:1")
    assert ran.code == 4
    assert ran.json["error"]["kind"] == "unavailable"
    assert "cogorch doctor" in ran.err
    assert "secret-word" not in ran.out + ran.err


def _written_to(pipe: Path) -> int:
    """The end of a pipe that is written to, as soon as somebody reads it."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO and time.monotonic() < deadline
        time.sleep(0.02)


def test_ctrl_c_is_exit_code_130_without_a_traceback(settings: Settings, tmp_path: Path) -> None:
    # Nobody writes into this pipe, so the import waits for ever.
    pipe = tmp_path / "rows.jsonl"
    os.mkfifo(pipe)
    child = subprocess.Popen(
        [*COMMAND, "observations", "import", str(pipe)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = _written_to(pipe)
    assert child.poll() is None
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    os.close(end)
    assert child.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err


def test_a_reader_that_has_seen_enough_is_no_error(seeded: Settings, tmp_path: Path) -> None:
    line = " ".join(COMMAND) + " audit log | head -n 1"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("seq")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_times_without_an_offset_are_utc() -> None:
    assert moment(None) is None
    assert moment("2026-01-31T12:00") == moment("2026-01-31T12:00:00Z") == moment("2026-01-31T13:00:00+01:00")
    with pytest.raises(InvalidInput, match="'yesterday' is not a time such as"):
        moment("yesterday")
    for wrong in ("0001-01-01T00:00:00+05:00", "1899-12-31", "3000-01-01"):
        with pytest.raises(InvalidInput, match=f"'{re.escape(wrong)}' lies outside the years 1900 to 2999"):
            moment(wrong)
    assert [moment(f"{day}T00:00:00Z") for day in ("1900-01-01", "2999-12-31")] == [
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(2999, 12, 31, tzinfo=UTC),
    ]


def test_ages_are_counted_back_from_now() -> None:
    age = when("36h")
    assert timedelta(hours=36) <= datetime.now(UTC) - age < timedelta(hours=36, minutes=5)
    assert when("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    with pytest.raises(InvalidInput, match="'999999d' lies outside the years 1900 to 2999"):
        when("999999d")
    for wrong in ("-7d", "7", "fortnight"):
        with pytest.raises(InvalidInput, match=f"'{wrong}' is neither an age such as 90m, 24h or 7d nor a time such"):
            when(wrong)


def test_cells_are_short_for_people() -> None:
    cells = [None, True, 1234567, 0.123456, 123456.7, -1e300, datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "x"]
    shown = ["-", "yes", "1,234,567", "0.1235", "123,457", "-1e+300", "2026-01-02 03:04:05Z", "x"]
    assert [text(cell) for cell in cells] == shown
