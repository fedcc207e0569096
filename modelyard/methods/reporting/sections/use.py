"""What a person says of the model: its purpose, its bounds, who answers for it."""

from __future__ import annotations

from modelyard.methods.reporting.markup import isolated
from modelyard.methods.reporting.view import Section, View, facts, section


def use(view: View) -> Section | None:
    """Intended use and responsibility, as the owner wrote them."""
    about = view.about
    shown = facts(
        [
            (view.t("Intended use"), isolated(about.intended_use) if about.intended_use else None),
            (view.t("Not for"), isolated(about.out_of_scope) if about.out_of_scope else None),
            (view.t("Owner"), isolated(about.owner) if about.owner else None),
            (view.t("Contact"), isolated(about.contact) if about.contact else None),
        ],
        class_="prose",
    )
    return section("use", view.t("Use"), shown, lead=view.t("In the owner's words."))
