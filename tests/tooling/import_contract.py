"""The import-linter contract behind `tool.importlinter` in pyproject.toml: a table of who may import whom.

A row is a module or package; the longest row that fits a module is its row. Modules of one row import each other
freely; everything else that is not in the standard library must stand in the row. So a new package or a new
dependency is refused until the table says who may use it. `"grantflow.*"` stands for all rows; `"!name"` takes one of
them away, or a module of the standard library.
"""

import sys
from collections.abc import Iterator
from typing import Any, TypeAlias

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

Table: TypeAlias = dict[str, list[str]]


class TableField(fields.Field[Table]):
    """Rows under `may_import`: a module's name, and the list of what it may import."""

    def parse(self, raw_data: Any) -> Table:
        if not isinstance(raw_data, dict) or not all(isinstance(row, list) for row in raw_data.values()):
            raise fields.ValidationError("Expected a table whose rows are lists of module names.")
        return raw_data


class WhoMayImportWhom(Contract):
    """Kept when each import stands in the table, and each row of the table in the code."""

    type_name = "who_may_import_whom"
    may_import: Any = TableField()  # import-linter puts the parsed table in the field's place

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        breaches = list(find_breaches(graph, self.may_import))
        return ContractCheck(kept=not breaches, metadata={"breaches": breaches})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for breach in check.metadata["breaches"]:
            output.print_error(f"- {breach}", bold=False)
        output.new_line()


def find_breaches(graph: ImportGraph, table: Table) -> Iterator[str]:
    for row in sorted(set(table) - graph.modules):
        yield f"{row} has a row in the table, but there is no such module"
    for importer in sorted(module for module in graph.modules if not graph.is_module_squashed(module)):
        importers_row = row_of(importer, table)
        if importers_row is None:
            yield f"{importer} has no row in the table"
            continue
        for imported in sorted(graph.find_modules_directly_imported_by(importer)):
            if not is_allowed(imported, importers_row, table):
                details = graph.get_import_details(importer=importer, imported=imported)
                lines = ", ".join(str(detail["line_number"]) for detail in details)
                yield f"{importer} may not import {imported} (line {lines})"


def row_of(module: str, table: Table) -> str | None:
    """The longest row that is the module or a package around it; the root package's row fits the root alone."""
    rows = [row for row in table if module == row or ("." in row and module.startswith(f"{row}."))]
    return max(rows, key=len, default=None)


def is_allowed(imported: str, importers_row: str, table: Table) -> bool:
    allowed = table[importers_row]
    top = imported.partition(".")[0]
    if top in sys.stdlib_module_names:
        return f"!{top}" not in allowed
    if top == "grantflow":
        row = row_of(imported, table)
        return row == importers_row or row in allowed or ("grantflow.*" in allowed and f"!{row}" not in allowed)
    return top in allowed
