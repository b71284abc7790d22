"""Serving: the graph that a RayService asks for, against its code and the hosts of its cluster."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from schemas.errors import SetupError
from services.graph.options import GraphOptions
from services.k8s.commands import role
from services.k8s.documents import CLUSTERS, Document, Overlay, Problem, dig
from services.k8s.environment import environment
from services.k8s.quantity import quantity
from services.k8s.shape import unknown

_GRAPH: Final = "services.graph:build"
_PATH: Final = "spec.serveConfigV2"


@dataclass(frozen=True)
class _Ask:
    """What replicas of a deployment need, each; `most` is how many there may be."""

    name: str
    needs: Mapping[str, float]
    most: int


@dataclass(frozen=True)
class _Group:
    """Hosts of one kind in a Ray cluster; `most` is how many there may be."""

    name: str
    offers: Mapping[str, float]
    most: int


def serving(overlay: Overlay) -> Iterator[Problem]:
    """Serve configs that Serve would misread, or for which there is no room."""
    for document in overlay.kind("RayService"):
        try:
            config = _read(document)
            for application in config.get("applications") or []:
                yield from _application(overlay, document, application)
            yield from _port(overlay, document, config)
        except SetupError as error:
            yield document.problem(_PATH, error.message)


def _read(document: Document) -> Mapping[str, Any]:
    """The Serve config, with all its keys known.

    Raises:
        SetupError: `usage`.
    """
    from services.graph.cluster import check_config  # it brings Ray, which takes seconds

    try:
        config = yaml.safe_load(document.dig(_PATH))
    except yaml.YAMLError as error:
        message = f"is no YAML ({' '.join(str(error).split())})"
        raise SetupError("usage", message) from error
    check_config(config)
    return dict(config)


def _application(
    overlay: Overlay, document: Document, application: Mapping[str, Any]
) -> Iterator[Problem]:
    if (path := application.get("import_path")) != _GRAPH:
        yield document.problem(_PATH, f"import_path {path!r}: the graph is {_GRAPH}")
        return
    options = GraphOptions.from_mapping(application.get("args") or {})
    deployments = application.get("deployments") or []
    for one in deployments:
        if one["name"] not in options.deployments:
            said = unknown(one["name"], options.deployments, "deployment")
            yield document.problem(_PATH, f"deployments: {one['name']}: {said}")
    given = {one["name"]: one.get("ray_actor_options") for one in deployments}
    asks = list(_asks(options, given))
    yield from _room(document, asks)
    yield from _lander(overlay, document, options)
    yield from _grace(overlay, document, options)


def _asks(options: GraphOptions, given: Mapping[str, Any]) -> Iterator[_Ask]:
    """What each deployment needs; what the config file says goes before the options."""
    for name, stage in options.deployments.items():
        most = options.ingresses if stage is None else stage.max_replicas
        if actor := given.get(name):
            cpus, gpus = actor.get("num_cpus", 1), actor.get("num_gpus", 0)
            more = actor.get("resources") or {}
        elif stage is None:
            continue  # as the code has it: no processor, anywhere
        else:
            cpus, gpus, more = stage.cpus, stage.gpus, stage.resources
        yield _Ask(name, {"CPU": cpus, "GPU": gpus, **more}, most)


def _groups(document: Document) -> Iterator[_Group]:
    for group in document.dig(f"{CLUSTERS[document.kind]}.workerGroupSpecs") or []:
        main = dig(group, "template.spec.containers")[0]
        limits = dig(main, "resources.limits", {})
        cpus = limits.get("cpu", dig(main, "resources.requests.cpu", 0))
        start = group.get("rayStartParams") or {}
        offers = {
            "CPU": float(start.get("num-cpus", quantity(cpus))),
            "GPU": float(start.get("num-gpus", quantity(limits.get("nvidia.com/gpu", 0)))),
            **{name: float(amount) for name, amount in (group.get("resources") or {}).items()},
        }
        yield _Group(group["groupName"], offers, group["maxReplicas"])


def _room(document: Document, asks: list[_Ask]) -> Iterator[Problem]:
    groups = list(_groups(document))
    for ask in asks:
        room = sum(_fits(ask, group) * group.most for group in groups)
        needs = ", ".join(f"{amount:g} {name}" for name, amount in ask.needs.items() if amount)
        if not any(_fits(ask, group) for group in groups):
            names = ", ".join(f"{group.name} ({_offer(group)})" for group in groups)
            what = f"{ask.name} asks for {needs}, which no worker group offers: {names}"
            yield document.problem(_PATH, what)
        elif room < ask.most:
            what = f"{ask.name} may have {ask.most} replicas of {needs}, and there is room for "
            what += f"{room}: raise maxReplicas of its worker group"
            yield document.problem(_PATH, what)


def _offer(group: _Group) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in group.offers.items() if amount)


def _fits(ask: _Ask, group: _Group) -> int:
    """How many replicas a host of a group takes."""
    needs = {name: amount for name, amount in ask.needs.items() if amount}
    return min(
        (int(group.offers.get(name, 0) / amount + 1e-6) for name, amount in needs.items()),
        default=ask.most,
    )


def _port(overlay: Overlay, document: Document, config: Mapping[str, Any]) -> Iterator[Problem]:
    """That Serve listens where the pods say, on all addresses."""
    http = config.get("http_options") or {}
    if http.get("host") != "0.0.0.0":
        yield document.problem(_PATH, "http_options.host has to be 0.0.0.0: others ask it")
    port = http.get("port", 8000)
    for pod in overlay.pods:
        if pod.document is document and port not in pod.main.ports:
            what = f"http_options.port {port} is no port of Ray's container; add it"
            yield pod.main.problem("ports", what)


def _lander(overlay: Overlay, document: Document, options: GraphOptions) -> Iterator[Problem]:
    """That commits meet in one lander."""
    for container in overlay.containers:
        if role(container) != "worker":
            continue
        apart = bool(environment(overlay, container).get("REELPAGE_LANDER"))
        if apart and options.lander:
            what = "workers have REELPAGE_LANDER: say lander: false, or there are two"
            yield document.problem(_PATH, what)
        if not apart and not options.lander:
            what = "lander: false, and workers have no REELPAGE_LANDER: nobody commits"
            yield document.problem(_PATH, what)
        return


def _grace(overlay: Overlay, document: Document, options: GraphOptions) -> Iterator[Problem]:
    """That replicas may finish what they hold."""
    for pod in overlay.pods:
        if pod.document is not document:
            continue
        given = pod.spec.get("terminationGracePeriodSeconds", 30)
        if given <= options.grace_s:
            what = f"{given} s, and a replica has grace_s={options.grace_s:g}; give more"
            yield pod.problem("spec.terminationGracePeriodSeconds", what)
