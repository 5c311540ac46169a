"""Data sets and pretrained weights: where they come from, how they are laid
out.
"""
