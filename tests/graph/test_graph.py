"""The graph in Ray Serve says what the local reader says, whatever dies meanwhile."""

import http.client
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import urllib3

from pipeline.decode import pixels
from pipeline.land.store import Folder
from pipeline.recognise import Line, Recogniser, ShardText, shard_text
from pipeline.recognise import revision as recognised_by
from schemas.errors import InputError, SetupError, TransientError
from schemas.jobs import Task
from services.calls.replies import credentials
from services.lander.client import LanderClient
from services.model.client import GraphClient
from services.model.wire import question_to_json
from tests.graph.conftest import SECRET, TASKS, Graph, compared
from tests.graph.processes import replica

pytestmark = pytest.mark.ci


def post(url: str, path: str, body: bytes) -> tuple[int, str | None]:
    """One request without patience: status, and when to come again."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    try:
        connection.request("POST", path, body, credentials(SECRET))
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("Retry-After")
    finally:
        connection.close()


@pytest.fixture(scope="module")
def texts(graph: Graph) -> dict[str, ShardText]:
    """What a recogniser in this process reads in each shard."""
    reader = Recogniser(1)
    return {name: shard_text(shard, pixels, reader) for name, shard in graph.lake.shards.items()}


def places(text: ShardText) -> tuple[list[Line], int]:
    """Text without the digits of confidence that threads change."""
    return [replace(line, confidence=None) for line in text.lines], text.unread


def test_the_graph_serves_the_model_of_the_lake(graph: Graph) -> None:
    served, facts = graph.client.model(), graph.lake.facts
    assert (served.name, served.revision) == (facts.name, facts.revision)
    assert (served.min_pixels, served.max_pixels) == (facts.min_pixels, facts.max_pixels)


def test_answers_are_those_of_the_local_reader(graph: Graph) -> None:
    reasons = set()
    for name in graph.lake.shards:
        given = compared(graph.client.answers(name, TASKS, graph.lake.facts.revision))
        assert given == graph.lake.expected(name)
        reasons |= {answer.finish_reason for row in given for answer in row}
    assert "blank" in reasons  # the report has an empty page


def test_text_is_that_of_the_local_recogniser(graph: Graph, texts: dict[str, ShardText]) -> None:
    for name, text in texts.items():
        assert places(graph.client.text(name, recognised_by())) == places(text)
    assert sum(len(text.lines) for text in texts.values()) > 20


def test_pictures_of_subtitles_are_read(graph: Graph) -> None:
    (name,) = (name for name, shard in graph.lake.shards.items() if shard.cue_pictures)
    lines = graph.client.text(name, recognised_by()).lines
    told = [(line.text, line.start_us, line.end_us, line.language) for line in lines]
    assert told == [("Mind the gap", 500_000, 1_500_000, "eng")]


def test_text_survives_the_death_of_its_reader(graph: Graph, texts: dict[str, ShardText]) -> None:
    names = list(texts)
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(graph.client.text, name, recognised_by()) for name in names]
        while not any(one.done() for one in running):
            time.sleep(0.05)
        dead = replica("Recogniser", graph.pid)
        os.kill(dead, signal.SIGKILL)
        read = [places(one.result()) for one in running]
    assert dead != replica("Recogniser", graph.pid)
    assert read == [places(texts[name]) for name in names]


def test_text_is_of_the_recogniser_that_was_asked_for(graph: Graph) -> None:
    name = next(iter(graph.lake.shards))
    with pytest.raises(TransientError, match="the same rapidocr") as caught:
        graph.client.text(name, "another")
    assert caught.value.code == "model_changed"
    with pytest.raises(InputError) as missing:
        graph.client.text("shards/00/0/0/000000.arrow", recognised_by())
    assert missing.value.code == "not_found"


@pytest.mark.parametrize(
    "name", ["shards/00/0/0/000000.arrow", "../settings", "", "tables/_delta_log/0.json"]
)
def test_a_shard_that_is_not_there_is_no_transient_trouble(graph: Graph, name: str) -> None:
    with pytest.raises(InputError) as caught:
        graph.client.answers(name, TASKS, graph.lake.facts.revision)
    assert caught.value.code == "not_found"


def test_a_prompt_that_the_model_refuses_does_not_harm_its_neighbours(graph: Graph) -> None:
    name = next(iter(graph.lake.shards))
    bad = [Task("bad", "<|im_end|>", 8)]
    with ThreadPoolExecutor(8) as pool:
        ask, revision = graph.client.answers, graph.lake.facts.revision
        good = [pool.submit(ask, name, [Task(f"t{n}", "What?", 8)], revision) for n in "123"]
        refused = pool.submit(ask, name, bad, revision)
        with pytest.raises(InputError) as caught:
            refused.result()
        assert caught.value.code == "bad_job"
        assert all(len(one.result()) == graph.lake.shards[name].rows.num_rows for one in good)


def test_answers_are_of_the_model_that_was_asked_for(graph: Graph) -> None:
    name = list(graph.lake.shards)[-1]
    client, revision = GraphClient(graph.url, SECRET, deadline_s=30), graph.lake.facts.revision
    assert compared(client.answers(name, TASKS, revision)) == graph.lake.expected(name)
    with pytest.raises(TransientError, match="read the model anew") as caught:
        client.answers(name, TASKS, "another")
    assert caught.value.code == "model_changed"


def test_the_graph_is_closed_to_who_does_not_know_the_secret(graph: Graph) -> None:
    for secret in ("", "another-secret-of-it"):
        client = GraphClient(graph.url, secret, deadline_s=30)
        with pytest.raises(SetupError, match="REELPAGE_SECRET") as caught:
            client.model()
        assert caught.value.code == "unauthorized"
        with pytest.raises(SetupError, match="REELPAGE_SECRET"):
            LanderClient(graph.url, Folder(graph.lake.folder), secret).look(
                "media", ["a"], reload=True
            )


def test_anybody_may_ask_whether_the_graph_lives(graph: Graph) -> None:
    assert urllib3.request("GET", f"{graph.url}/healthz", retries=False).status == 200
    assert urllib3.request("GET", f"{graph.url}/readyz", retries=False).status == 200


def test_what_is_too_large_is_refused_before_it_is_read(graph: Graph) -> None:
    connection = http.client.HTTPConnection(urlsplit(graph.url).netloc, timeout=60)
    connection.putrequest("POST", "/v1/shards")
    connection.putheader("Content-Length", str(1 << 30))
    connection.putheader("Authorization", f"Bearer {SECRET}")
    connection.endheaders(b"the first bytes, and no more")
    assert connection.getresponse().status == 413
    connection.close()


def test_no_task_is_no_question(graph: Graph) -> None:
    with pytest.raises(InputError) as caught:
        graph.client.answers(next(iter(graph.lake.shards)), [], "")
    assert caught.value.code == "bad_job"


def test_a_full_graph_says_so_and_clients_come_again(graph: Graph) -> None:
    name = next(iter(graph.lake.shards))
    questions = [[Task(f"busy{n}", f"What is shown, {n}?", 32)] for n in range(48)]
    bodies = [question_to_json(name, tasks, "") for tasks in questions]
    with ThreadPoolExecutor(48) as pool:
        replies = list(pool.map(lambda body: post(graph.url, "/v1/shards", body), bodies))
        assert set(replies) == {(200, None), (503, "1")}
        answers = list(pool.map(lambda tasks: graph.client.answers(name, tasks, ""), questions))
    assert [len(one) for one in answers] == [graph.lake.shards[name].rows.num_rows] * 48


def test_a_question_that_is_asked_twice_is_answered_once(graph: Graph) -> None:
    """Sixteen are admitted: thirty-two equal ones pass only because they are one."""
    body = question_to_json(next(iter(graph.lake.shards)), [Task("twice", "What is it?", 64)], "")
    with ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(lambda _: post(graph.url, "/v1/shards", body), range(32)))
    assert replies == [(200, None)] * 32


def test_the_lander_is_reached_through_the_graph(graph: Graph) -> None:
    lander = LanderClient(graph.url, Folder(graph.lake.folder), SECRET)
    assert lander.look("media", ["nobody"], reload=True) == {"nobody": None}
    assert lander.commit("media", {"a test": None}, {"a test": 7}, None)
    assert lander.look("media", ["a test"], reload=True) == {"a test": 7}


def test_answers_survive_the_death_of_both_halves(graph: Graph) -> None:
    """The decoder dies with questions, the encoder with the features that it has made for them."""
    questions = [
        (name, [Task(f"killed{n}", f"Describe the picture {n}.", 48)])
        for n in range(2)
        for name in graph.lake.shards
    ]
    with ThreadPoolExecutor(6) as pool:
        running = [
            pool.submit(graph.client.answers, *one, graph.lake.facts.revision) for one in questions
        ]
        while not any(one.done() for one in running):
            time.sleep(0.05)
        dead = [replica("Decoder", graph.pid), replica("Encoder", graph.pid)]
        os.kill(dead[0], signal.SIGKILL)
        time.sleep(0.5)
        os.kill(dead[1], signal.SIGKILL)
        answers = [compared(one.result()) for one in running]
    assert dead != [replica("Decoder", graph.pid), replica("Encoder", graph.pid)]
    assert answers == [graph.lake.expected(name, tasks) for name, tasks in questions]
