"""`azsim VERB`: finds the verb, runs it, and turns whatever happens into one message and an exit code.

Nothing is imported here that `--help` can do without: a verb's module is imported when it is called, and what the
verb needs to do its work only when it does it.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

import click

from azsim.base.errors import AzsimError, ExitCode, InternalError
from azsim.base.version import __version__
from azsim.cli.terminal import discard_stdout, say

VERBS: Final[Mapping[str, str]] = {
    "init": "Write a first scenario, from a few answers.",
    "run": "Replay a scenario once, request by request, and judge it.",
    "validate": "Check a scenario: resolved values, arithmetic, findings.",
    "presets": "List what products do by default, value by value.",
    "study": "Replay scenarios many times, and say what is likely.",
    "report": "Write a run as one HTML page, to be read, sent and printed.",
    "compare": "Replay two scenarios on the same chance, side by side.",
    "tune": "Look for settings that keep it up at the least cost.",
    "explain": "Say which mechanisms bring it down, by switching them off.",
    "hazards": "Try what can go wrong in every control loop, one thing at a time.",
    "margin": "Find how far a knob can be turned before it goes down too often.",
    "calibrate": "Turn access logs and tables into scenario keys.",
    "schema": "Print the JSON Schema of scenario files.",
}
"""Every verb and what it does; verb `x` is `command` in `azsim.cli.x`."""


class Verbs(click.Group):
    """A group whose commands are the verbs of the table, imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb; None where there is no such verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"azsim.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of verbs from the table, without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="VERB [ARGUMENTS]...",
    epilog="Exit codes: 0 it ran, 1 falsified or undecided (--strict), 2 bad input, 3 a limit, 4 internal error, "
    "130 interrupted.",
)
@click.version_option(__version__, "--version", message="azsim %(version)s")
def azsim() -> None:
    """Does failing over make the system fall over?

    azsim replays the loss of an availability zone, request by request, and judges what became of the service level.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The program: runs the verb that the command line names and exits with its code."""
    # A letter that the terminal does not know is shown by its number, and a stream that is closed swallows all.
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        else:
            stream.reconfigure(errors="backslashreplace")
    sys.exit(outcome(sys.argv[1:] if arguments is None else arguments))


def outcome(arguments: Sequence[str]) -> ExitCode:
    """The exit code of a command line. Whatever goes wrong is told on stderr in one message."""
    try:
        code = azsim.main(args=list(arguments), prog_name="azsim", standalone_mode=False)
        sys.stdout.flush()
        return ExitCode(code or ExitCode.OK)
    except click.ClickException as error:
        error.show()
        return ExitCode.BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        say("interrupted; files that were finished are whole")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader had enough, which is no failure.
        discard_stdout()
        return ExitCode.OK
    except InternalError as error:
        return _told(error, _internal(error.message, arguments), ExitCode.INTERNAL)
    except AzsimError as error:
        return _told(error, str(error), error.exit_code)
    except MemoryError as error:
        return _told(error, "out of memory; --memory 4GiB sets a bound that says what filled it", ExitCode.LIMIT)
    except Exception as error:  # the last resort: no other message would be clearer than what is known here
        return _told(error, _internal(f"{type(error).__name__}: {error}", arguments), ExitCode.INTERNAL)


def _internal(what: str, arguments: Sequence[str]) -> str:
    return f"internal error: {what}. Replay: AZSIM_DEBUG=1 {shlex.join(['azsim', *arguments])}"


def _told(error: BaseException, message: str, code: ExitCode) -> ExitCode:
    if os.environ.get("AZSIM_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)
    say(f"error: {message}")
    return code
