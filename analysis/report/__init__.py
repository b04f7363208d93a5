"""One self-contained HTML page of a run, or of several: what it says in words first, then figures, tables, method, provenance.

points      the rows of a summary as typed points
verdict     the sentences at the top
setting     what ran where
tables      the points, one table per collective
advice      warnings, each with the points it holds for and what to do
falls       from the line rate to the busbw
pictures    figures of `analysis.figures`, or why one is left out
optics      what the light of the link means
method      how the numbers were taken
provenance  where they come from
sides       several runs side by side, two of them compared
bmwg        the same run in the sections of the IETF draft
page        all of it together
html        the only place that makes HTML, with every text escaped
"""

from analysis.report.page import TEMPLATES, write_report

__all__ = ["TEMPLATES", "write_report"]
