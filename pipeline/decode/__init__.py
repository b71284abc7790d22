"""Decode: media files to shards of frames and pages, in a sandboxed child process."""

from pipeline.decode.asking import Fill
from pipeline.decode.confine import Confinement
from pipeline.decode.picture import model_picture, pixels
from pipeline.decode.plan import DECODING, DecodePlan, Limits, Sampling
from pipeline.decode.sandbox import confinement, decode, probe

__all__ = [
    "DECODING",
    "Confinement",
    "DecodePlan",
    "Fill",
    "Limits",
    "Sampling",
    "confinement",
    "decode",
    "model_picture",
    "pixels",
    "probe",
]
