"""How a command ends: a user's mistake is one sentence and exit code 2; it knows no command."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable

INTERRUPTED = 130
# What the system says of a path that was given, or of a run folder that somebody changed.
OF_THE_PATH = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR),
    *(errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP),
}


class UserError(Exception):
    """A mistake of the user, as one sentence: the rule, the value got, the repair. Several at once are several arguments."""

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


def run_command(name: str, command: Callable[[list[str]], int], arguments: list[str] | None = None) -> int:
    """Runs a command and turns what it raises into an exit code: 2 for the user's mistakes, 130 after Ctrl-C, 1 for our own."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        return command(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        for fault in error.args:
            print(f"{name}: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        place = f" {error.filename!r}" if error.filename else ""
        print(f"{name}: {error.strerror or error}{place}{_repair(error)}", file=sys.stderr)
        return 2 if error.errno in OF_THE_PATH else 1


def _repair(error: OSError) -> str:
    repairs = {
        errno.ENOSPC: ": free some space, then go on with --resume; nothing finished is lost",
        errno.EROFS: ": choose a folder that can be written to",
        errno.EACCES: ": choose a folder that you may write to, or change its permissions",
        errno.EPERM: ": choose a folder that you may write to, or change its permissions",
    }
    return repairs.get(error.errno or 0, "")
