"""The errors of reelpage, one tree with stable codes.

    ReelpageError
    ├── InputError      this input cannot be processed; a row in `failures`, never retried
    ├── TransientError  a later attempt may succeed; retried with back-off
    └── SetupError      the installation, the options or the lake are wrong; nothing is started

Every error carries a `code` from `CODES`: codes land in the `failures` table, so they are never
renamed, and a test compares them with a frozen copy.
"""

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, str]] = {
    # inputs
    "not_found": "the file or object does not exist",
    "not_readable": "the file exists but may not be read",
    "empty_input": "the file has zero bytes",
    "empty_directory": "the directory holds no media",
    "unsupported_format": "the content is no supported video, document or image",
    "truncated": "the file ends before its content does",
    "no_video_stream": "the container has no video stream",
    "codec_refused": "the codec is not on the allow-list",
    "password_required": "the document is encrypted with a password",
    "corrupt": "the content is damaged",
    "too_large": "a size limit of the decoder was reached",
    "aspect_ratio": "one side is more than 200 times the other",
    "decoder_crashed": "the sandboxed decoder died",
    "decoder_timeout": "the sandboxed decoder ran out of time",
    "decoder_memory": "the sandboxed decoder ran out of memory",
    "page_failed": "one page of a document could not be rendered",
    "url_refused": "the URL's scheme or address is not allowed",
    "features_invalid": "features do not have the shape that their grid states",
    "member_refused": "a member of an archive climbs out of it, is encrypted or is packed oddly",
    "recognise_failed": "the recogniser of text fails on a picture",
    "model_failed": "the model fails on this picture or this prompt, and on no other",
    "unknown_media": "the lake knows no such media",
    "bad_request": "a request to a service of ours does not follow its contract",
    "bad_job": "a job message does not follow the contract",
    "media_changed": "the object is not the version that the job refers to",
    # transient
    "fetch_failed": "a download did not complete",
    "lander_failed": "the lander did not answer",
    "commit_conflict": "another writer kept winning the commit",
    "broker_failed": "the Kafka broker does not answer",
    "internal": "a fault of reelpage itself",
    "store_failed": "the object store did not answer",
    "graph_busy": "the model's service has no room at the moment",
    "graph_failed": "the model's service did not answer",
    "model_changed": "the model's service has another model than the question is for",
    # set-up
    "usage": "the command was called wrongly",
    "bad_query": "the SQL text could not be run",
    "lake_not_writable": "the lake's folder cannot be written",
    "lake_missing": "there is no lake at this place",
    "lake_older": "the lake was written by an older version of reelpage",
    "lake_newer": "the lake was written by a newer version of reelpage",
    "not_forgotten": "traces of a medium are left after its removal",
    "lake_corrupt": "the lake's tables cannot be read",
    "lake_locked": "another process is indexing into the lake",
    "store_refused": "the object store refuses these credentials or this request",
    "store_missing": "the bucket does not exist",
    "store_unsafe": "the object store cannot keep several writers apart",
    "broker_refused": "the Kafka broker refused the user",
    "topic_missing": "the Kafka topic does not exist",
    "log_behind_table": "the Kafka log ends before the table's position",
    "retention_gap": "the Kafka log starts behind the table's position",
    "log_replaced": "the Kafka log is not the one that was landed from",
    "version_mismatch": "a service of ours has another version than its caller",
    "unauthorized": "a service of ours was called without its secret",
    "graph_not_started": "the model's service did not start",
    "server_failed": "a server for development did not start or answer",
    "disk_full": "the disk has no room left",
    "device_missing": "torch cannot use the model's device",
    "device_full": "the model's weights take more memory than its device has",
    "model_missing": "the model directory does not exist or lacks a file",
    "model_unsupported": "the checkpoint is not of the Qwen2-VL family",
    "shadowed": "a folder of the same name hides a package of reelpage",
}

WARNINGS: Final[Mapping[str, str]] = {
    "damaged": "parts of the content are damaged and were left out",
    "trailing_bytes": "bytes follow the content that are none of it",
    "not_read": "the medium holds more than was read",
    "clock_jumped": "recordings were joined, or the clock jumped; times go on without a gap",
    "frames_dropped": "frames that were there are not in the tables",
    "text_unread": "subtitles that are pictures, on which nothing could be read",
    "font_missing": "a font is neither in the document nor on this machine",
}
"""Codes of what is said in `media.warnings`; never renamed, as the others."""


class ReelpageError(Exception):
    """Base of all errors that reelpage raises on purpose.

    Attributes:
        code: stable identifier, a key of `CODES`.
        message: one line naming the input and the remedy.
    """

    def __init__(self, code: str, message: str) -> None:
        if code not in CODES:
            unknown = f"unknown error code {code!r}"
            raise ValueError(unknown)
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type["ReelpageError"], tuple[str, str]]:
        """Survive the way from one process to another."""
        return type(self), (self.code, self.message)


class InputError(ReelpageError):
    """This input cannot be processed, now or later."""


class TransientError(ReelpageError):
    """A later attempt may succeed."""


class SetupError(ReelpageError):
    """The installation, the options or the lake are wrong; nothing was started."""
