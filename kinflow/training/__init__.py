"""Training of everything that kinflow learns: what all runs share, and a recipe for each kind."""
