"""How a run is shown: a table, a picture, a page."""
