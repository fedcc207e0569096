"""The card as Markdown, with the front matter of a Hugging Face model card."""

from modelyard.methods.reporting.model_card.card import markdown

__all__ = ["markdown"]
