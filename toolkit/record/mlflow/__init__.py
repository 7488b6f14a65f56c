"""What MLflow is told of runs and versions: kept in an outbox first, and sent from there."""

from edgekit.record.mlflow import runs
from edgekit.record.mlflow.delivery import Delivery, deliver
from edgekit.record.mlflow.entry import DataUsed, Entry, Measured, SentFile
from edgekit.record.mlflow.outbox import keep, pending
from edgekit.record.mlflow.place import Place, place_of

__all__ = [
    "DataUsed",
    "Delivery",
    "Entry",
    "Measured",
    "Place",
    "SentFile",
    "deliver",
    "keep",
    "pending",
    "place_of",
    "runs",
]
