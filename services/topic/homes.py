"""Homes: the one partition in which all work on a medium, or on a range of one, is done.

Two jobs about the same medium must never be in two partitions: their workers know nothing of each
other. A key leads to a partition by the number of partitions, which grows, and by the partitioner
of whoever sends. So the number with which a group began to land a topic is kept in the lake, and a
worker sends a record on that is not at home.
"""

import json
import zlib

from kafka.partitioner.default import murmur2

from pipeline.land.place import Objects
from schemas.errors import SetupError
from schemas.jobs import Job


def home(key: str, job: Job, partitions: int) -> int:
    """The partition of a job: by its key as Kafka's own clients hash it; ranges of a video in turn.

    Args:
        key: of the job's record.
        job: what to do.
        partitions: of the topic.
    """
    if job.range is None or job.range not in job.ranges:
        return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions
    first = zlib.crc32(key.partition("/")[0].encode())
    return (first + job.ranges.index(job.range)) % partitions


def settled(objects: Objects, group: str, topic: str, partitions: int) -> int:
    """How many partitions a topic had when a group began to land it.

    Args:
        objects: of the lake, which keeps the number.
        group: of workers.
        topic: its name.
        partitions: that it has now.

    Raises:
        SetupError: `lake_corrupt`.
        TransientError: `store_failed`.
    """
    name = f"topics/{group}/{topic}.json"
    objects.replace(name, json.dumps({"partitions": partitions}).encode(), "")
    try:
        return int(json.loads(objects.get(name) or b"")["partitions"])
    except (ValueError, KeyError, TypeError) as error:
        message = f"{name}: is damaged ({error!r}); it should read {{'partitions': NUMBER}}"
        raise SetupError("lake_corrupt", message) from error
