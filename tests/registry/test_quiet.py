"""MLflow within a fresh process: no word, no network, no other program, and nothing of it before it is needed."""

import subprocess
import sys

from cogorch_dagster.settings import Settings

PROGRAM = """
import sys
seen = []
def listen(event, arguments):
    if event == "subprocess.Popen" and arguments[1] == ["uname", "-p"]:
        return  # Python's own way to name the processor.
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        seen.append((event, str(arguments)))
    if event == "pickle.find_class" and not str(arguments[0]).startswith(("numpy", "_codecs", "copyreg")):
        seen.append((event, str(arguments)))
sys.addaudithook(listen)
from cogorch_dagster.registry import store
from cogorch_dagster.registry.records import Lineage
from cogorch_dagster.settings import Settings
assert not {"mlflow", "torch", "pandas"} & set(sys.modules), "imported too early"
settings = Settings()
made = store.register(settings, "agent-policy", {"a.json": b"[]"}, params={}, metrics={}, lineage=Lineage("0.1.0"))
assert store.load(settings, store.find(settings, made.ref)) == {"a.json": b"[]"}
import mlflow
from mlflow.telemetry import get_telemetry_client
assert get_telemetry_client() is None
assert seen == [], seen
assert "torch" not in sys.modules
"""


def test_a_process_that_registers_says_nothing_and_calls_nobody(mlflow_database: Settings) -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
