"""Decide a Parquet table of applications with Spark: `spark-submit score.py APPLICATIONS DECISIONS`.

Any columns beside those of applications are kept. A row that is refused has `faults`, and no decision.
"""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from credit_risk.contract.catalogue import load_catalogue
from credit_risk.contract.policy import load_policy
from credit_risk.model.store import load_model
from credit_risk.portfolio.batch_decider import BatchDecider
from credit_risk.serving.settings import load_settings

source, target = sys.argv[1:]
spark = SparkSession.builder.appName("credit-risk").getOrCreate()
settings = load_settings()
# The executors get it as bytes, so they need no model store.
decide = BatchDecider(load_model(settings.model), load_policy(settings.policy), load_catalogue(settings.reasons))

applications = spark.read.parquet(source)
schema = from_arrow_schema(decide.schema(to_arrow_schema(applications.schema)))
applications.mapInArrow(lambda batches: map(decide, batches), schema).write.parquet(target)

decisions = spark.read.parquet(target)
decisions.groupBy("Status").count().show()
