"""How a Keras model becomes an optimized one: TFMOT's techniques, what they promise, and what is repaired in them.

`paths` the deployment tree · `steps` the techniques · `base` the trained starting point · `survival` what a path
promised and whether it holds · `repairs` TFMOT's silent defects · `keras_file` Keras models as this project's files ·
`keras_any` Keras models as users' files · `keras3` what Keras 3 made, for TFMOT
"""
