"""How a network leaves the project: standalone source, weights, ONNX, and the checks that they agree."""
