"""Data sets: the folder layout, images, samplers, and the programs that build the layout."""
