"""Watch over what is deployed: records of apps and servers against a bundle's golden statistics."""

from edgekit.record.monitoring.checks import Reference as Reference
from edgekit.record.monitoring.checks import of_batch as of_batch
from edgekit.record.monitoring.checks import of_golden as of_golden
from edgekit.record.monitoring.golden import Golden as Golden
from edgekit.record.monitoring.golden import parse_golden as parse_golden
from edgekit.record.monitoring.golden import read_golden as read_golden
from edgekit.record.monitoring.raw_items import MOST_ITEMS as MOST_ITEMS
from edgekit.record.monitoring.raw_items import check_folder as check_folder
from edgekit.record.monitoring.raw_items import write_items as write_items
from edgekit.record.monitoring.records import Batch as Batch
from edgekit.record.monitoring.records import read_records as read_records
from edgekit.record.monitoring.verdict import judged as judged
