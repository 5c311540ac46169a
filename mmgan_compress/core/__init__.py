"""Building blocks in pure torch that import nothing else of the package."""
