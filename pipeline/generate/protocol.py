"""Protocol: what a decoder of answers is asked, whichever it is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from pipeline.generate.answers import Generation, Parameters, Prompt, WorkItem
from pipeline.generate.handle import Handle
from schemas.features import Features


class LanguageModel(ABC):
    """Answers prompts about images; any thread may ask it."""

    @abstractmethod
    def submit(
        self,
        features: Sequence[Features],
        prompt: Prompt,
        parameters: Parameters = Parameters(),  # noqa: B008 - frozen
        priority: int = 0,
    ) -> Handle:
        """Ask one prompt about images or clips; it joins those that are being answered.

        Args:
            features: of what is asked about.
            prompt: the question.
            parameters: how tokens are chosen, greedily by default.
            priority: of those that wait, the lowest comes first.

        Raises:
            InputError: `features_invalid`, if features are of another model; `bad_job`, for a
                prompt that holds control tokens; `too_large`, for one beyond the model's window.
        """

    def generate(self, items: Sequence[WorkItem]) -> list[list[Generation]]:
        """Answer every prompt of every item, greedily.

        Returns:
            For each item, one generation a prompt, in their order.

        Raises:
            InputError: as of `submit`.
        """
        handles: list[Handle] = []
        try:
            for item in items:
                handles += [self.submit(item.features, prompt) for prompt in item.prompts]
            waiting = iter(handles)
            return [[next(waiting).result() for _ in item.prompts] for item in items]
        finally:
            for handle in handles:
                handle.cancel()
