"""Decode: media files to shards of frames and pages, in a sandboxed child process."""
