"""The run report: one HTML file, without network, that shows what a run made and what it could not."""

from coc_labeling.report.build import build_report

__all__ = ["build_report"]
