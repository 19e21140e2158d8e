"""What the demo prints for people, step by step."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cogorch_dagster.demo.result import DemoResult, Proposal
from cogorch_dagster.policies.diff import diff
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    from cogorch_dagster.lab.load import LoadReport


# A generator that is later than this competes with the fleet for the processor.
LATE_MS = 100.0


class Report:
    """Writes to stdout, which `--json` has turned into stderr."""

    def __init__(self, total: int) -> None:
        from rich.console import Console

        self._console = Console(highlight=False, soft_wrap=True)
        self._total = total
        self._number = 0
        self._begun = time.monotonic()

    def step(self, title: str) -> None:
        self._number += 1
        elapsed = time.monotonic() - self._begun
        self._console.print(f"\n[bold cyan]{self._number}/{self._total}  {title}[/]  [dim]{elapsed:.0f} s[/]")

    def line(self, text: str) -> None:
        self._console.print(f"  {text}", markup=False)

    def command(self, *words: str) -> None:
        quoted = " ".join(f'"{word}"' if " " in word else word for word in words)
        self._console.print(f"  $ {quoted}", markup=False, style="bold")

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        with self._console.status(f"  {text}"):
            yield

    @contextmanager
    def progress(self, text: str, total: int) -> Iterator[Callable[[int], None]]:
        """A progress bar on a terminal, a line every tenth elsewhere."""
        if self._console.is_terminal:
            from rich.progress import Progress

            with Progress(console=self._console, transient=True) as bar:
                task = bar.add_task(f"  {text}", total=total)
                yield lambda done: bar.update(task, completed=done)
            return
        self.line(text)
        shown = [0]

        def advance(done: int) -> None:
            tenth = 10 * done // total
            if tenth > shown[0]:
                shown[0] = tenth
                self.line(f"{tenth * 10:>3} %")

        yield advance

    def load(self, done: "LoadReport") -> None:
        shares = ", ".join(f"{model} {count / max(done.ok, 1):.0%}" for model, count in done.by_model.items())
        self.line(
            f"{done.sent} sent, {done.ok} answered, {done.failed} failed; {done.accuracy:.1%} right; "
            f"p50 {done.p50_ms:.1f} ms, p95 {done.p95_ms:.1f} ms"
        )
        self.line(f"answered by {shares}")
        if done.late_ms > LATE_MS:
            self.line(
                f"This machine is busy: requests left {done.late_ms:.0f} ms late, so latencies say more about it than "
                "about the fleet. Lower --rate, or stop what else runs."
            )

    def job(self, outcome: dict[str, Any]) -> None:
        assets = ", ".join(outcome["assets"]) or "nothing"
        self.line(f"{outcome['job']} (run {outcome['run_id'][:8]}, {outcome['seconds']:.1f} s): {assets}")

    def proposal(self, proposal: Proposal, checks: list[dict[str, Any]]) -> None:
        for change in diff(proposal.parent_params, proposal.params):
            self.line(f"{change.path:<34} {_number(change.before)} -> {_number(change.after)}")
        low, high = proposal.ci95
        self.line(f"estimated improvement of the mean reward: {proposal.estimate:+.4f}")
        self.line(f"95 % interval of the improvement:         [{low:+.4f}, {high:+.4f}]")
        self.line(
            f"from {proposal.decisions} decisions that had no part in the search; "
            f"effective sample size {proposal.effective_sample_size:.0f}"
        )
        for check in checks:
            state = "passed" if check["passed"] else f"not passed ({check['severity']})"
            self.line(f"check policy_approved: {state}: {check['description']}")

    def result(self, result: DemoResult, settings: Settings) -> None:
        measured, proposal = result.measured, result.proposal
        low, high = measured.diff_ci95
        self._console.print()
        self.line(f"mean reward before  {measured.before:.4f}  ({proposal.parent}, {measured.decisions[0]} decisions)")
        self.line(f"mean reward after   {measured.after:.4f}  ({proposal.version}, {measured.decisions[1]} decisions)")
        self.line(f"measured difference {measured.diff:+.4f}  95 % interval [{low:+.4f}, {high:+.4f}]")
        low, high = proposal.ci95
        self.line(f"had been estimated  {proposal.estimate:+.4f}  95 % interval [{low:+.4f}, {high:+.4f}]")
        self.line(f"The measurement lies {'inside' if result.as_estimated else 'outside'} the proposal's interval.")
        self._console.print(f"\n  [bold]{result.verdict}[/]")
        self.line(f"Picture: {result.figure}")
        self._console.print("\n  Next:", style="bold")
        for command, meaning in (
            (
                "make ui",
                f"the same assets in Dagster's web UI, http://{settings.webserver_host}:{settings.webserver_port}",
            ),
            (f".venv/bin/cogorch lineage {proposal.ref}", "from the version back to the raw data"),
            (".venv/bin/cogorch stats", "rolling statistics"),
            (".venv/bin/cogorch causal discover", "what causes what in this traffic"),
            (".venv/bin/cogorch audit log", "who decided what"),
            (f".venv/bin/cogorch policy rollback {proposal.policy_id}@{proposal.parent} --reason ...", "back again"),
        ):
            self.line(f"{command:<52} {meaning}")


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
