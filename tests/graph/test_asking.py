"""Questions whose replicas die: who is not to blame is answered, and who is has failed."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError

from schemas.errors import InputError, TransientError
from services.graph.asking import Questions
from services.graph.replicas import FeaturesLostError


class OneReplica:
    """Dies with all that it holds whenever it has worked on poison for a moment."""

    def __init__(self) -> None:
        self.deaths: Counter[str] = Counter()
        self._died = asyncio.Event()

    def call(self, name: str) -> Callable[[], Awaitable[str]]:
        async def work() -> str:
            died = self._died
            try:
                await asyncio.wait_for(died.wait(), 0.01 if name == "poison" else 0.05)
            except TimeoutError:
                if name != "poison":
                    return name
                self._died = asyncio.Event()
                died.set()
            self.deaths[name] += 1
            raise ActorDiedError

        return work


def test_who_kills_replicas_fails_alone() -> None:
    async def run() -> tuple[list[str | BaseException], Counter[str]]:
        replica, questions = OneReplica(), Questions()
        asked = [questions.ask(replica.call(name)) for name in ("a", "b", "poison", "c", "d")]
        return await asyncio.gather(*asked, return_exceptions=True), replica.deaths

    answers, deaths = asyncio.run(run())
    assert [one for one in answers if isinstance(one, str)] == ["a", "b", "c", "d"]
    assert isinstance(answers[2], InputError)
    assert answers[2].code == "model_failed"
    assert deaths["poison"] == 3
    assert max(deaths[name] for name in "abcd") == 1


@pytest.mark.parametrize("error", [FeaturesLostError("gone"), ActorUnavailableError("busy", None)])
def test_a_replica_that_is_away_is_nobodys_fault(error: Exception) -> None:
    calls = []

    async def work() -> str:
        calls.append(None)
        raise error

    with pytest.raises(TransientError) as caught:
        asyncio.run(Questions().ask(work))
    assert caught.value.code == "graph_failed"
    assert len(calls) == 4
