"""Reports: one page of HTML on a run, or on several side by side, made of what they keep; nothing is trained.

subject.py reads a run; rankings.py ranks the benchmark anew, query by query; paired.py compares runs on the same
queries; strips.py shows rankings, groups.py redrawn photos; clusters.py and maps.py show what the clusters follow;
charts.py draws; page.py puts all of it together.
"""

from trainer.report.page import Request, write_report

__all__ = ["Request", "write_report"]
