"""What the supervisor runs is what was asked for."""

from pathlib import Path

from services.stack.layers import layers
from services.stack.ports import Ports
from services.stack.registry import Plan


def test_the_graph_is_given_the_options_of_up(tmp_path: Path) -> None:
    asked = ["--decoders", "2", "--decoder-gpus", "0.25"]
    ports = Ports()
    try:
        found, _ = layers(Plan("one", str(tmp_path), 1, True, "", {}, {}, asked), ports)
    finally:
        ports.close()
    (graph,) = (program for layer in found for program in layer if program.name == "graph")
    assert list(graph.command[-4:]) == asked
