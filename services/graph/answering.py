"""Answering: pictures of a shard, or the features that the lake has of them, to answers."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError

from pipeline.land.place import Objects
from pipeline.vlm.clip import item_tokens
from schemas.errors import InputError, ReelpageError
from schemas.features import Features
from schemas.shards import Shard
from services.graph.asking import deadline
from services.graph.packs import packs
from services.graph.reading import Answers, Pack, Reading
from services.graph.replicas import FeaturesLostError, Packed, fetched
from services.graph.shards import shard_of
from services.model.asking import Seen, is_clip, look, told
from services.model.kept import KeptFeatures
from services.model.wire import Question, ServedModel

log = logging.getLogger(__name__)

T = TypeVar("T")


class Answering:
    """Answers questions about shards of a lake."""

    def __init__(self, objects: Objects, reading: Reading, *, keeps: bool) -> None:
        """Nothing is asked yet.

        Args:
            objects: of the lake.
            reading: asks the models.
            keeps: whether the lake keeps what encoders make of pictures.
        """
        self._objects, self._reading, self._keeps = objects, reading, keeps

    def answers(
        self, question: Question, model: ServedModel, loop: asyncio.AbstractEventLoop
    ) -> Answers:
        """For each picture, or for the segment, one answer a task; to be called in a thread.

        Args:
            question: with a shard and what is asked.
            model: that answers.
            loop: in which the models are asked.

        Raises:
            ReelpageError: what the lake or the models raise.
        """
        shard = shard_of(self._objects, question.shard)
        as_clip, kept = is_clip(question.tasks), None
        if self._reading.has_halves and question.revision:
            kept = KeptFeatures(self._objects, question.revision, writes=self._keeps)
            found = kept.get(question.shard, shard, as_clip)
            if found is not None:
                with suppress(InputError):  # what the decoder refuses of them is made again
                    return self._of_features(question, shard, *found, loop)
        seen, items = look(shard, as_clip, model)
        parts = [ray.put(pack) for pack in packs(items, item_tokens)]
        keeps = self._keeps and kept is not None
        answers, made = _wait(self._of_pictures(question, parts, keeps), loop)
        if kept is not None and made is not None:
            try:
                kept.put(question.shard, shard, as_clip, seen, made)
            except (ReelpageError, OSError) as error:
                log.warning("%s: features are not kept: %s", question.shard, error)
        return told(shard, question.tasks, seen, answers)

    def _of_features(
        self,
        question: Question,
        shard: Shard,
        seen: Seen,
        features: Sequence[Features],
        loop: asyncio.AbstractEventLoop,
    ) -> Answers:
        parts = packs(features, lambda one: len(one.tokens))
        packed = [[ray.put([one.to_ipc() for one in part])] for part in parts]
        answers = _wait(self._asked_of(question, packed), loop)
        return told(shard, question.tasks, seen, answers)

    async def _asked_of(self, question: Question, packed: Sequence[Packed]) -> Answers:
        ask = self._reading.of_features
        async with deadline("no answers"):
            read = await asyncio.gather(
                *(ask(part, question.tasks, question.revision) for part in packed)
            )
        return [answers for part in read for answers in part]

    async def _of_pictures(
        self, question: Question, parts: Sequence[Pack], keeps: bool
    ) -> tuple[Answers, list[Features] | None]:
        """Answers, and features if they are to be kept and are still to be had."""
        ask = self._reading.read
        async with deadline("no answers"):
            read = await asyncio.gather(
                *(ask(part, question.tasks, question.revision) for part in parts)
            )
        answers = [answers for part, _ in read for answers in part]
        if not keeps:
            return answers, None
        try:
            return answers, [one for _, made in read if made for one in await fetched(made)]
        except (FeaturesLostError, RayError) as error:
            log.warning("%s: features are not kept: %r", question.shard, error)
            return answers, None


def _wait(coming: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    return asyncio.run_coroutine_threadsafe(coming, loop).result()
