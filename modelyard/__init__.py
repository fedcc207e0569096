"""Modelyard: from data to a released, monitored model, with every claim proved on the artifact that ships."""
