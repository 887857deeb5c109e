"""From an exception to one clear message on stderr and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import typer

from .parameters import as_options
from .render import note

INTERRUPTED = 130
READER_LEFT = 141  # as for a command that the pipe's signal ends: no verdict
BUG = 70  # an error of ours, not of the user
TRACEBACK = "ROSETTA_TRACEBACK"  # set in the environment, it shows where an error came from


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn what a user can mend, an interruption and a lack of memory or disk into a message and an exit code."""
    from rosetta.errors import RosettaError

    if os.environ.get(TRACEBACK):
        yield
        return
    try:
        yield
    except RosettaError as error:
        _stop(str(error), error.exit_code)
    except KeyboardInterrupt as error:
        # a training says what it left, and which signal ended it
        _stop(str(error) or "interrupted; what was not finished was removed", getattr(error, "exit_code", INTERRUPTED))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing more to say
        sys.exit(READER_LEFT)
    except MemoryError as error:
        _stop(
            f"there is not enough memory for this ({error or 'out of memory'}): use less data or smaller layers",
            2,
        )
    except OSError as error:
        where = f" at {error.filename}" if error.filename else ""
        _stop(f"the system refused{where}: {error.strerror or error}", 2)
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        _stop(
            f"this should not happen and is a bug of Rosetta ({type(error).__name__}: {error}). "
            f"Please report it, with what {TRACEBACK}=1 shows for the same command",
            BUG,
        )


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as a note, without the place in the code that it comes from."""
    note(str(message))


def _stop(message: str, code: int) -> None:
    typer.echo(f"error: {as_options(message)}", err=True)
    sys.exit(code)
