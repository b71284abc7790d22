"""Products: what several rows in one product with weights save, on one thread.

Sixty matrices of 768 x 2,048 in float32, as many numbers as no cache holds, are each multiplied by
1 to 64 rows: what the decoder of a model of 120 M parameters does for a token of each row. No
decoder answers K prompts more than so many times as fast as one.
"""

import time
from typing import Final

import torch

from benchmarks.common import Report, parser, show

_ROWS: Final = (1, 4, 8, 16, 64)
_LAYERS: Final = 60
_WIDTH: Final = (768, 2048)
_TURNS: Final = 5


def seconds(layers: list[torch.nn.Linear], rows: int) -> float:
    """Least time of all products."""
    given, taken = torch.randn(rows, _WIDTH[0]), []
    with torch.inference_mode():
        for _ in range(_TURNS):
            began = time.perf_counter()
            for layer in layers:
                layer(given)
            taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    """Run the benchmark."""
    chosen = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers = [torch.nn.Linear(*_WIDTH) for _ in range(_LAYERS)]
    one = seconds(layers, 1)
    rows: list[Report] = []
    for count in _ROWS:
        taken = seconds(layers, count)
        operations = 2 * count * _LAYERS * _WIDTH[0] * _WIDTH[1]
        rows.append(
            {
                "rows": count,
                "ms": round(1000 * taken, 1),
                "gflop_per_s": round(operations / taken / 1e9, 1),
                "times_as_fast_a_row": round(count * one / taken, 2),
            }
        )
    show("products", rows, as_json=chosen.json)


if __name__ == "__main__":
    main()
