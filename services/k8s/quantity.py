"""Quantity: amounts as Kubernetes writes them."""

import re
from typing import Final

_FACTORS: Final = {
    "": 1.0,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}


def quantity(value: str | float) -> float:
    """A number from an amount; 0 for what is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]*)", str(value))
    return float(found[1]) * _FACTORS.get(found[2], 0.0) if found else 0.0
