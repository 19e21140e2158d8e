"""A model server as a process of its own: real answers, metered work, real queueing, declared faults."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.lab import digits, faults, process, server
from cogorch_dagster.lab.faults import Fault

TOKEN = "let-me-break-it"
QUEUE = 2


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[process.Child]:
    log = tmp_path_factory.mktemp("logs") / "server.log"
    arguments = ["--model", "digits-ensemble", "--queue", str(QUEUE)]
    started = process.spawn("server", server.__name__, arguments, {server.CONTROL_TOKEN: TOKEN}, log)
    yield started
    process.stop([started])
    assert not started.alive


@pytest.fixture(scope="module")
def url(child: process.Child) -> str:
    announced = process.announcement(child, 60)
    assert announced["model"] == "digits-ensemble" and announced["accuracy"] > 0.97
    return str(announced["url"])


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        yield client
    faults.switch(url, TOKEN, Fault(kind="none"))


def question(image: int = 0) -> dict[str, list[float]]:
    return {"pixels": digits.split()[1].pixels[image].tolist()}


def test_answers_are_right_and_metered(http: httpx.Client) -> None:
    _, held_out = digits.split()
    answers = [http.post("/v1/classify", json=question(i)).json() for i in range(20)]
    right = sum(answer["label"] == label for answer, label in zip(answers, held_out.labels[:20].tolist(), strict=True))
    assert right >= 18
    for answer in answers:
        assert answer["compute_ms"] > 0 and answer["queue_ms"] >= 0
        assert answer["cost_usd"] == pytest.approx(answer["compute_ms"] / 1e3 * 0.12)


def test_requests_queue_and_a_full_queue_refuses(url: str) -> None:
    async def burst() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as client:
            return list(await asyncio.gather(*(client.post("/v1/classify", json=question()) for _ in range(25))))

    responses = asyncio.run(burst())
    counts = Counter(response.status_code for response in responses)
    assert set(counts) == {200, 429}
    waits = [response.json()["queue_ms"] for response in responses if response.status_code == 200]
    computing = [response.json()["compute_ms"] for response in responses if response.status_code == 200]
    # Whoever waited behind another waited about as long as that one computed.
    assert max(waits) > min(computing) / 2


@pytest.mark.parametrize("pixels", [[0.0] * 63, [17.0] * 64, ["x"] * 64, None])
def test_what_is_no_image_is_refused(http: httpx.Client, pixels: object) -> None:
    assert http.post("/v1/classify", json={"pixels": pixels}).status_code == 422


def test_errors_come_at_their_rate(http: httpx.Client, url: str) -> None:
    faults.switch(url, TOKEN, Fault(kind="errors", rate=0.5))
    statuses = Counter(http.post("/v1/classify", json=question()).status_code for _ in range(30))
    # The server's seed is fixed, so this is one known draw; within 3 standard deviations of 15.
    assert set(statuses) == {200, 500} and 7 <= statuses[500] <= 23
    faults.switch(url, TOKEN, Fault(kind="none"))
    assert all(http.post("/v1/classify", json=question()).status_code == 200 for _ in range(10))


def test_a_hanging_server_answers_nothing_until_it_is_told(http: httpx.Client, url: str) -> None:
    faults.switch(url, TOKEN, Fault(kind="hang"))
    for method, path in (("POST", "/v1/classify"), ("GET", "/healthz")):
        with pytest.raises(httpx.ReadTimeout):
            http.request(method, path, json=question() if method == "POST" else None, timeout=0.5)
    faults.switch(url, TOKEN, Fault(kind="none"))
    assert http.post("/v1/classify", json=question()).status_code == 200


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
def test_faults_need_the_token(http: httpx.Client, header: dict[str, str]) -> None:
    response = http.post("/control/fault", json={"kind": "kill"}, headers=header)
    assert response.status_code == 401
    assert http.get("/healthz").json()["fault"]["kind"] == "none"


def test_the_server_is_not_open_to_other_machines(url: str) -> None:
    assert httpx.URL(url).host == "127.0.0.1"


def test_without_a_token_of_its_own_a_server_takes_no_fault(tmp_path: Path) -> None:
    unset = {server.CONTROL_TOKEN: ""}
    child = process.spawn("closed", server.__name__, ["--model", "digits-linear"], unset, tmp_path / "closed.log")
    try:
        url = str(process.announcement(child, 60)["url"])
        for token in ("", "guess"):
            with pytest.raises(Unavailable):
                faults.switch(url, token, Fault(kind="kill"))
        assert child.alive
    finally:
        process.stop([child])
    assert child.process.returncode == 0


def test_a_process_that_cannot_start_says_why(tmp_path: Path) -> None:
    child = process.spawn("server", server.__name__, ["--model", "digits-oracle"], {}, tmp_path / "server.log")
    try:
        with pytest.raises(Unavailable, match=r"ended before it was ready(.|\n)*digits-oracle"):
            process.announcement(child, 60)
    finally:
        process.stop([child])


def test_a_process_that_is_slow_to_start_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    child = process.spawn("server", server.__name__, ["--model", "digits-linear"], {}, tmp_path / "server.log")
    try:
        with pytest.raises(Unavailable, match=r"not ready after 0.05 s"):
            process.announcement(child, 0.05)
    finally:
        process.stop([child], grace_s=0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
