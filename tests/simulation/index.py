"""Index: a run of `reelpage index`, or of `retry` in its own process, over the same lake."""

import uuid
from collections.abc import Sequence
from random import Random

from services.index.file_log import GROUP, TOPIC, FileLog
from services.index.files import Given
from services.index.progress import Progress
from services.index.summary import Summary
from services.index.watch import RunWatch
from services.ingest.compose import Jobs
from schemas.errors import TransientError
from tests.simulation.fiber import fiber
from tests.simulation.media import Library
from tests.simulation.worker import Slow, Worker
from tests.simulation.world import Clock, World
