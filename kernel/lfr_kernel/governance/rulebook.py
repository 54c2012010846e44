"""The table of rules that docs/rules.md holds, made from the rules themselves and the built-in packs."""

from __future__ import annotations

from lfr_kernel.governance.rules import built_in_packs, load_pack
from lfr_kernel.governance.ruleset import meaning_of, rule_types, spelled, strictness_of

__all__ = ["rules_table"]


def rules_table() -> str:
    """Return a Markdown table: each rule, what it means, what stricter means, its value in each built-in pack."""
    packs = [load_pack(name).pack for name in built_in_packs()]
    heads = ["rule", "meaning", "stricter is", *(f"`{pack.name}`" for pack in packs)]
    lines = [heads, ["---"] * len(heads)]
    for rule in rule_types():
        values = [pack.clauses[rule].value for pack in packs]
        cells = ["*to be completed*" if value is None else spelled(value) for value in values]
        lines.append([f"`{rule}`", meaning_of(rule), strictness_of(rule).value, *cells])
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
