"""The log of a topic, read from outside its group."""

from contextlib import closing

import pytest

from schemas.jobs import Job, MediaReference, Task
from services.settings import Settings
from services.stack.servers import Broker
from services.topic.broker import Sender
from services.topic.log import open_log
from tests.servers import TopicFactory

COUNT = 1600


@pytest.fixture
def settings(broker: Broker, topic: TopicFactory) -> Settings:
    return Settings.from_environment(
        {"REELPAGE_KAFKA": broker.bootstrap, "REELPAGE_TOPIC": topic(2)}
    )


def test_all_is_read_behind_a_look_at_the_bounds(settings: Settings) -> None:
    """Whose fetch brings more than one poll of kafka-python gives by itself."""
    one = Job(id="one", media=MediaReference("/x.png"), tasks=(Task("caption", "?", 8),))
    with closing(Sender(settings)) as sender:
        sender.send((f"key {number}", one) for number in range(COUNT))
    with open_log(settings) as log:
        found = list(log.read(log.bounds({})))
    assert len(found) == COUNT
    assert {record.key for record in found} == {f"key {number}" for number in range(COUNT)}
