"""Charts as inline SVG, drawn for a phone's width so that their text stays legible, coloured by the page's style."""
