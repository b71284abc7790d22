"""GPUs: whether replicas find their shares, asked before Ray is, which would wait for them."""

from collections import Counter
from collections.abc import Sequence

from schemas.errors import SetupError


def check(shares: Sequence[float], hosts: Sequence[float]) -> None:
    """Check that each replica finds its GPUs; the arguments are those of `fit`.

    Raises:
        SetupError: `graph_not_started`, with what was asked for and what is there.
    """
    if fit(shares, hosts):
        return
    wanted = " + ".join(f"{n} of {share:g}" for share, n in Counter(shares).items() if share)
    there = " + ".join(f"{count:g}" for count in hosts if count) or "none"
    message = (
        f"the replicas ask for {sum(shares):g} GPUs ({wanted}), and there is {there}; ask for "
        "fewer replicas or smaller shares, or for 0 GPUs to use processors"
    )
    raise SetupError("graph_not_started", message)


def fit(shares: Sequence[float], hosts: Sequence[float]) -> bool:
    """Whether each replica finds its GPUs.

    A share below 1 is of one GPU; several GPUs are of one host.

    Args:
        shares: of each replica.
        hosts: GPUs of each.
    """
    free = [[1.0] * int(count) for count in hosts]
    wanted = sorted((share for share in shares if share), reverse=True)
    return all(_take(share, free) for share in wanted)


def _take(share: float, free: list[list[float]]) -> bool:
    """Take a share where it leaves the least; whether there was room."""
    if share < 1:
        return _take_part(share, free)
    count = int(share)
    whole = [[gpu for gpu, left in enumerate(host) if left == 1.0] for host in free]
    rooms = [host for host in range(len(free)) if len(whole[host]) >= count]
    if not rooms:
        return False
    host = min(rooms, key=lambda one: len(whole[one]))
    for gpu in whole[host][:count]:
        free[host][gpu] = 0.0
    return True


def _take_part(share: float, free: list[list[float]]) -> bool:
    rooms = [
        (left, host, gpu)
        for host, gpus in enumerate(free)
        for gpu, left in enumerate(gpus)
        if left >= share
    ]
    if rooms:
        left, host, gpu = min(rooms)
        free[host][gpu] = round(left - share, 4)  # as exact as Ray counts
    return bool(rooms)
