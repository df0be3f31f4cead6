"""`kinflow train parts`: the part parser from synthetic scenes."""
