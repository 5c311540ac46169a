# --demo of recipes for label maps: flat emoji in 16 colours -> 3-D emoji. What
# the keys mean: demo.py.
_base_ = 'demo.py'
