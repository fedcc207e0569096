"""The datasheet of a data set, after Gebru et al., "Datasheets for Datasets", Communications of the ACM 64 (12), 2021.

    facts = gather(record, digest, figures, owner)
    html(facts, "en"); markdown(facts, "en"); facts.to_json()

What the record of the steps knows is filled in; what only people know is theirs to say; what nobody said is shown as
missing.
"""

from modelyard.methods.reporting.datasheet.facts import Datasheet, Owner, gather
from modelyard.methods.reporting.datasheet.markdown import markdown
from modelyard.methods.reporting.datasheet.sheet import html

__all__ = ["Datasheet", "Owner", "gather", "html", "markdown"]
