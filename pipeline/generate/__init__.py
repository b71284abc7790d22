"""Generate: answers to prompts about images by the language model.

Prompts are submitted one by one and answered together; those about the same images share what
they begin with. The tokens are those of one plain greedy `generate` a prompt.
"""

from pipeline.generate.answers import FinishReason, Generation, Parameters, Prompt, WorkItem
from pipeline.generate.engine import Engine
from pipeline.generate.generator import Generator
from pipeline.generate.handle import Handle
from pipeline.generate.protocol import LanguageModel

__all__ = [
    "Engine",
    "FinishReason",
    "Generation",
    "Generator",
    "Handle",
    "LanguageModel",
    "Parameters",
    "Prompt",
    "WorkItem",
]
