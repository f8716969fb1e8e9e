"""Run parts of a plan on Spark, by `mapInPandas` over their numbers, one task each.

The pipeline is loaded once for each Python worker, which Spark keeps from task to task. The
session is the one there is, as under `spark-submit`; else one is made on this machine.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...errors import ConfigError, EngineError
from ..extras import need
from ..worker import Counts, reason_of, worker_for

__all__ = ["run"]


def run(
    output: str, indices: Sequence[int], workers: int, tell: Callable[[int], None]
) -> Iterator[Counts]:
    """Do parts of a plan; see `local.run`. Nothing is reported before all is done.

    RAISES (ConfigError): If Java is not installed.
    RAISES (EngineError): If a part failed as often as Spark tries.
    """
    sql = need("pyspark.sql", "spark")
    session = sql.SparkSession.getActiveSession()
    own = session is None
    if session is None:
        builder = sql.SparkSession.builder.appName("multibert apply")
        if not {"PYSPARK_GATEWAY_PORT", "SPARK_REMOTE"} & os.environ.keys():
            _check_java()
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
            builder = builder.master(f"local[{workers}]").config("spark.ui.enabled", "false")
            builder = builder.config("spark.driver.host", "localhost")
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
    wanted = list(indices)

    def tag(batches: Iterator[Any]) -> Iterator[Any]:
        pandas = need("pandas", "spark")
        for batch in batches:
            counts = [json.dumps(worker_for(output)(wanted[n])) for n in batch["id"]]
            yield pandas.DataFrame({"counts": counts})

    try:
        numbers = session.range(0, len(wanted), 1, len(wanted))
        for row in numbers.mapInPandas(tag, "counts string").collect():
            counts = json.loads(row["counts"])
            tell(counts["texts"])
            yield counts
    except need("pyspark.errors", "spark").PySparkException as e:
        raise EngineError(f"Spark: {reason_of(e)}") from e
    finally:
        if own:
            session.stop()


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java", path=f"{home}/bin" if home else None) is None:
        raise ConfigError(
            "engine = 'spark' needs Java 17 or later, and there is none: apt-get install "
            "openjdk-17-jre-headless, or set JAVA_HOME"
        )
