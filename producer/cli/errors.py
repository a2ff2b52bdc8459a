"""How a command ends other than well.

CommandError
├── Failed       1    the service took it, and could not answer
├── Wrong        2    what was asked for cannot be: an option, a file, a field
├── Away         3    Redis or the API does not answer; it may, later
│   ├── Busy     3    the queue is full, or this caller asks too often
│   └── Refused  3    it answers, and will not have us
├── Gone         3    what was submitted is no longer there
├── OtherBody    3    an idempotency key stands for another request
└── Stopped    130    Ctrl-C or SIGTERM
"""

from __future__ import annotations

from typing import ClassVar

OK, SOME_FAILED, USAGE, NO_SERVICE, INTERRUPTED = 0, 1, 2, 3, 130


class CommandError(Exception):
    """Root of the command line's errors; the message is for the person at the terminal."""

    exit_code: ClassVar[int] = SOME_FAILED


class Failed(CommandError):
    """The service took the request, and could not answer it."""


class Wrong(CommandError):
    """What was asked for cannot be; the same command will fail again."""

    exit_code = USAGE


class Away(CommandError):
    """Redis or the API does not answer."""

    exit_code = NO_SERVICE


class Busy(Away):
    """Nothing more is taken now. retry_after_s: when to try again."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(Away):
    """The service answers, and will not have us: a key is wrong, or it is no Segue. Waiting does not help."""


class Gone(CommandError):
    """What was submitted is no longer there."""

    exit_code = NO_SERVICE


class OtherBody(CommandError):
    """An idempotency key stands for another request."""

    exit_code = NO_SERVICE


class Stopped(CommandError):
    """Somebody wants it to end."""

    exit_code = INTERRUPTED
