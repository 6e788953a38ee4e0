"""`grantflow status`: what `grantflow up` showed, as long as it runs."""

from typing import Annotated

from cyclopts import Parameter

from grantflow.cli.flags import Data, Json
from grantflow.cli.output import Failure
from grantflow.cli.report import Form, show
from grantflow.data_directory import DataDirectory, read_json


def status(
    *,
    data: Data = None,
    output: Annotated[Form, Parameter(alias="-o")] = "text",
    json: Json = False,
) -> None:
    directory = DataDirectory.find(data)
    report = read_json(directory.running) if directory.is_held() else None
    if report is None:
        raise Failure(
            f"No grantflow up runs on {directory.path}.",
            fix="Start it with: grantflow up. If it runs on another directory, say which: --data DIR.",
        )
    environment = report.pop("environment")
    show(report, "json" if json else output, environment=environment, credentials=directory.sandbox)
