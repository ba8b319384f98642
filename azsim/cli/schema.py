"""`azsim schema`: the JSON Schema that editors validate scenario files with."""

from __future__ import annotations

import json

import click

from azsim.base.errors import ExitCode
from azsim.cli.terminal import put


@click.command()
def command() -> ExitCode:
    """Print the JSON Schema of scenario files.

    An editor that knows YAML schemas checks and completes scenarios with it:

    \b
      azsim schema > azsim.schema.json
      # yaml-language-server: $schema=azsim.schema.json      (first line of a scenario)
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    from azsim.scenario.json_schema import json_schema

    put(json.dumps(json_schema(), indent=2) + "\n")
    return ExitCode.OK
