"""What azsim raises on purpose, and the exit codes a process ends with."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """How a process ends; the command line returns nothing else."""

    OK = 0
    FALSIFIED = 1  # an expectation was falsified or stayed undecided, and the caller asked to be told
    BAD_INPUT = 2
    LIMIT = 3
    INTERNAL = 4
    INTERRUPTED = 130


class AzsimError(Exception):
    """Base of every error azsim raises on purpose; `exit_code` is what the command line returns for it."""

    exit_code: ExitCode = ExitCode.INTERNAL


class ScenarioError(AzsimError):
    """A scenario that cannot be used, told in one line that says where, what, why and how to write it.

    `file`, `line` and `column` (from 1; 0 where there is no line, as with `--set path=value`) say where,
    `key` is the dotted path with names and ids, `value` the text found there (empty when there is none),
    `rule` the rule it breaks and `example` a line that keeps it.
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(
        self,
        rule: str,
        *,
        file: str = "",
        line: int = 0,
        column: int = 0,
        key: str = "",
        value: str = "",
        example: str = "",
    ) -> None:
        # All of it goes to args, so that the error survives the way back from a worker process.
        super().__init__(rule, file, line, column, key, value, example)
        self.rule = rule
        self.file = file
        self.line = line
        self.column = column
        self.key = key
        self.value = value
        self.example = example

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_scenario_error, self.args)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        parts = [where, self.key, f"value {self.value}" if self.value else "", self.rule]
        message = ": ".join(part for part in parts if part)
        if self.example:
            message = f"{message.rstrip('.')}. Valid example: {self.example}"
        # Keys and file names may hold anything; the message stays one line.
        return "".join(letter if letter.isprintable() else " " for letter in message)


def _rebuild_scenario_error(
    rule: str, file: str, line: int, column: int, key: str, value: str, example: str
) -> ScenarioError:
    return ScenarioError(rule, file=file, line=line, column=column, key=key, value=value, example=example)


class LimitError(AzsimError):
    """A bound the user set, or a fixed bound of the program, was reached; the message says what filled it."""

    exit_code = ExitCode.LIMIT


class InternalError(AzsimError):
    """The program contradicted itself; `replay_command` reruns exactly what led there."""

    exit_code = ExitCode.INTERNAL

    def __init__(self, message: str, replay_command: str = "") -> None:
        super().__init__(message, replay_command)
        self.message = message
        self.replay_command = replay_command

    def __str__(self) -> str:
        return f"{self.message}. Replay: {self.replay_command}" if self.replay_command else self.message
