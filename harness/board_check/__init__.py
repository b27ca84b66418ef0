"""The health check of a board, `hil boards check`, and its known model.

`known_model.tflite` is an int8 network of five kinds of operators, all of which Vela puts on the NPU.  With it come, in
`known_samples.npz`, inputs and the outputs of TensorFlow's reference kernels for them: a check needs no TensorFlow.
"""
