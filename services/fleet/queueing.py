"""Queueing: how busy servers are, and how long work waits for one of them.

Utilisation law: Denning and Buzen, The Operational Analysis of Queueing Network Models (Computing
Surveys 10(3), 1978). Waiting for one of c servers, with arrivals and service times that are
exponential (M/M/c): A. K. Erlang, Solution of Some Problems in the Theory of Probabilities (1917),
by the recursion of his loss formula, as in Gross et al., Fundamentals of Queueing Theory, 2.3.
"""


def utilisation(rate: float, service_s: float, servers: int) -> float:
    """Share of its time that each server is busy; from 1 on the queue grows without end."""
    return rate * service_s / servers


def capacity(service_s: float, servers: int) -> float:
    """The most that servers carry, units a second; infinite where a unit takes no time."""
    return servers / service_s if service_s else float("inf")


def waits(load: float, servers: int) -> float:
    """Probability that a unit has to wait: Erlang's C.

    Args:
        load: offered, rate times service time, erlang; below the number of servers.
        servers: at least 1.
    """
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


def mean_wait_s(rate: float, service_s: float, servers: int) -> float:
    """Mean seconds that a unit waits before it is served; infinite where the queue grows."""
    load = rate * service_s
    if load >= servers:
        return float("inf")
    return waits(load, servers) * service_s / (servers - load)
