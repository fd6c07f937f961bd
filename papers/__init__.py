"""Claims of papers, checked: evidence, verdicts derived from it, figures and the report."""

from . import figures as figures
from ._claim import Check as Check
from ._claim import Claim as Claim
from ._claim import Finding as Finding
from ._claim import Source as Source
from ._registry import claims as claims
from ._registry import sources as sources
from ._result import Report as Report
from ._result import Result as Result
from ._verdict import Status as Status
from ._verdict import Verdict as Verdict
from ._verdict import derive as derive
from ._verify import verify as verify
