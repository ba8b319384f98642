"""Writes docs/features/presets.md from the presets: `python -m tests.golden.presets_page`."""

from __future__ import annotations

from pathlib import Path

from azsim.report.catalog import written
from azsim.scenario.preset import BLOCKS, PARTS, Block, names, products

DOCUMENT = Path(__file__).parents[2] / "docs" / "features" / "presets.md"

_TOP = """\
# Presets

What products do unless they are told otherwise: retries, breakers, limits, balancers, health checks and ejection, with
the sources of every value. A block of a scenario starts from one, and its own keys override:

```yaml
traffic:
  shoppers:
    to: web
    rate: 900/s
    clients: 100
    timeout: 1s
    retry:
      preset: aws-sdk-standard-2026
      attempts: 2                      # instead of the preset's 3
      budget: {capacity: 100}          # of the preset's budget only this changes
    breaker: {preset: resilience4j}
services:
  web:
    balancer:
      preset: aws-alb                  # with its health checks
      health: {unhealthy_after: 3}     # instead of the preset's 2
```

- A mapping inside merges with the preset's, as with `extends`; one of another `kind`, and `none`, replaces it.
- Parts can be taken alone, also from another product: `budget: {preset: grpc}`. So it is with {parts}.
- In a file that extends another, a block that names another preset starts anew from that one; `preset: none` starts
  from nothing. A block set with `--set` or `Scenario.with_` replaces what was there, preset and all.
- The digest and the resolved scenario hold the values, not the name: a preset that a later version corrects changes the
  digest of the scenarios that use it, and says so in the changelog.

`azsim presets` lists them, `azsim presets NAME` explains one: every value with its source, what the product does beside
in keys that you set yourself (timeouts, mostly), and what it has that azsim does not model. `azsim validate` shows each
resolved value with its source. A star marks values where sources conflict or stay silent, or where the product wants
them from you: look at these first. What a product can do but does not by default, though azsim could, is listed as
`off:` beside what is not modelled.

Written from the data in `azsim/scenario/presets/`; the suite compares the two.
"""
_TITLES = {
    "retry": "Retries",
    "breaker": "Breakers",
    "limit": "Limits",
    "balancer": "Balancers",
    "health": "Health checks",
    "outliers": "Ejection of outliers",
}


def document() -> str:
    """The text of docs/features/presets.md."""
    parts = " and ".join(f"`{part}` of `{block}`" for part, block in PARTS.items())
    return _TOP.replace("{parts}", parts) + "".join(_family(block) for block in BLOCKS)


def _family(block: str) -> str:
    titles = f"| `preset` of `{block}` | product | values | off, or not modelled |\n|---|---|---|---|\n"
    return f"\n## {_TITLES[block]}\n\n{titles}" + "".join(
        _row(name, products()[name].product, products()[name].blocks[block]) for name in names(block)
    )


def _row(name: str, product: str, block: Block) -> str:
    values = "<br>".join(
        f"`{path}: {written(value.value)}`{'' if value.verified else ' *'}" for path, value in block.values.items()
    )
    beside = "<br>".join(f"beside: `{path}: {written(value.value)}`" for path, value in block.beside.items())
    cells = (
        f"`{name}`",
        product,
        "<br>".join(filter(None, (values, beside))),
        "<br>".join([*(f"off: {one}" for one in block.off_by_default), *block.not_modelled]),
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
