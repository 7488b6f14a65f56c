"""A run as one HTML file that opens anywhere: no network, no server, no TensorFlow."""

from edgekit.report.html.run import run_page
from edgekit.report.html.shell import Badge, Page, Section, badge, render

__all__ = ["Badge", "Page", "Section", "badge", "render", "run_page"]
