"""Decode: media files to shards of frames and pages, in a sandboxed child process."""

from pipeline.decode.picture import pixels
from pipeline.decode.plan import DecodePlan, Limits, Sampling
from pipeline.decode.sandbox import decode, examine, probe

__all__ = ["DecodePlan", "Limits", "Sampling", "decode", "examine", "pixels", "probe"]
