"""Command line, what `status`, `verify` and `retry` do more where the lake is a stream's."""

from typing import TYPE_CHECKING, Any, Final

from schemas.errors import ReelpageError, TransientError
from services.cli import stacks
from services.cli.shared import place_of, say, settings

if TYPE_CHECKING:
    from pipeline.query.verify import Problem

_PATIENCE_S: Final = 3.0


def is_stream(lake: str) -> bool:
    """Whether workers land in a lake."""
    from services.inspect.lag import is_stream as ask

    return bool(settings().kafka) and ask(place_of(lake), settings())


def stream_status(lake: str) -> tuple[dict[str, Any], str]:
    """How far the stream is behind its topic, as JSON values and as text."""
    from services.index.progress import clock
    from services.inspect.lag import lag

    try:
        found = lag(place_of(lake), settings())
    except TransientError as error:
        lines = [f"the topic is not known: {error.message}", *stacks.troubles()]
        return {"error": error.message}, "\n".join(lines)
    lines = [
        f"partition {one.partition:<3} {one.landed:,} of {one.end:,} jobs landed"
        + (f", lag {one.lag:,}" if one.lag >= 0 else ": another log, see reelpage verify --topic")
        for one in found.partitions
    ]
    lines.append(f"lag {found.total:,} jobs, {found.rate:.2f} jobs/s, ETA {clock(found.eta_s)}")
    graph = _graph()
    lines += [f"graph {name}: {value}" for name, value in graph.items()]
    lines += stacks.troubles()
    return found.to_json() | {"graph": graph}, "\n".join(lines)


def _graph() -> dict[str, Any]:
    """Replicas of the graph by stage, or what is wrong with it; empty if there is none."""
    found = settings()
    if not found.graph:
        return {}
    from services.model.client import GraphClient

    try:
        return dict(GraphClient(found.graph, found.secret, deadline_s=_PATIENCE_S).replicas())
    except ReelpageError as error:
        return {"error": error.message}


def prove(lake: str) -> "list[Problem]":
    """What the topic asked for and the lake has not, and the other way round."""
    from services.inspect.proof import prove as compare

    return compare(place_of(lake), settings())


def send_again(lake: str, where: str, as_json: bool) -> None:
    """Send the jobs of open failures again."""
    from services.inspect.failures import open_failures, retries
    from services.topic.broker import Sender

    place = place_of(lake)
    again, left = retries(place, open_failures(place, where).to_pylist())
    if again:
        sender = Sender(settings())
        try:
            sender.send(again)
        finally:
            sender.close()
    text = f"{len(again)} jobs sent again"
    text += f"; {left} failures are of records that were no jobs" * bool(left)
    say({"retried": len(again), "left": left}, text, as_json)
