"""Network: proxies before S3, the broker and the graphs, and a seeded stream of their faults."""

import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from tests.fault_proxy import FaultProxy

_KINDS = {
    "s3": ["reset", "reset", "503", "503", "cut", "slow"],
    "kafka": ["reset", "reset", "cut", "slow"],
    "graph": ["reset", "503", "cut", "slow"],
}
_MATCH = {"s3": (b"PUT /", b"GET /", b".json HTTP", b""), "kafka": (b"",), "graph": (b"/v1/",)}
_HANGS = _MATCH | {"graph": (b"/v1/look", b"/v1/commit")}
"""A question whose reply never comes is asked again after 15 minutes, when the soak is over."""
_HANG, _REFUSE = 0.03, 0.05


class Network:
    """What clients reach the servers through.

    Args:
        targets: "host:port" of servers, by name; what is before the "-" is its kind.
        seed: of the faults.
    """

    def __init__(self, targets: Mapping[str, str], seed: int) -> None:
        self._chance = random.Random(seed)
        self._stack = ExitStack()
        self.fired: Counter[str] = Counter()
        self._proxies = {
            name: self._stack.enter_context(FaultProxy(target, advertised=name.startswith("kafka")))
            for name, target in targets.items()
        }

    def address(self, name: str) -> str:
        return self._proxies[name].address

    @contextmanager
    def faulty(self, every_s: float) -> Iterator[None]:
        """Let something fail about every so many seconds."""
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(self._chance.uniform(0.5, 1.5) * every_s):
                self._fail(stop)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            for proxy in self._proxies.values():
                proxy.disarm()

    def close(self) -> None:
        """End the proxies and count what fired."""
        for name, proxy in self._proxies.items():
            for fault, times in proxy.fired.items():
                self.fired[f"{name.partition('-')[0]} {fault}"] += times
        self._stack.close()

    def _fail(self, stop: threading.Event) -> None:
        name = self._chance.choice(list(self._proxies))
        kind, proxy = name.partition("-")[0], self._proxies[name]
        draw = self._chance.random()
        if draw < _REFUSE:
            self.fired[f"{kind} refused"] += 1
            with proxy.refusing():
                stop.wait(1.0)
            return
        hangs = draw < _REFUSE + _HANG
        fault = "hang" if hangs else self._chance.choice(_KINDS[kind])
        proxy.arm(
            fault,
            on=self._chance.choice(["reply", "reply", "request"]),
            match=self._chance.choice((_HANGS if hangs else _MATCH)[kind]),
            seconds=self._chance.uniform(0.2, 2.0),
        )
