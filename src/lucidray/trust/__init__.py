"""How far heat maps can be trusted: measured, beside chance, and said in words.

`measure_trust` measures, `verdict` says it in a line, `write_trust_page` writes the page. Nothing
here needs torch but `lucidray.trust.network` (a run as the subject) and `lucidray.trust.shortcut`.
"""

from lucidray.trust.effort import METHODS as METHODS
from lucidray.trust.effort import Effort as Effort
from lucidray.trust.films import choose_films as choose_films
from lucidray.trust.measure import choose_findings as choose_findings
from lucidray.trust.measure import measure_trust as measure_trust
from lucidray.trust.result import Aspect as Aspect
from lucidray.trust.result import FindingTrust as FindingTrust
from lucidray.trust.result import MethodTrust as MethodTrust
from lucidray.trust.result import TrustReport as TrustReport
from lucidray.trust.result import Verdict as Verdict
from lucidray.trust.result import from_json as from_json
from lucidray.trust.result import joined as joined
from lucidray.trust.subject import BundleSubject as BundleSubject
from lucidray.trust.subject import Subject as Subject
from lucidray.trust.verdict import verdict as verdict
