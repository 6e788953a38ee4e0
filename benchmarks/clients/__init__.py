"""How OAuth clients behave where something goes wrong: released libraries side by side, against one platform.

`./dev bench clients` plays the same scenarios through each (docs/comparison.md). What is compared is what happens, and
nothing is a matter of speed.
"""
