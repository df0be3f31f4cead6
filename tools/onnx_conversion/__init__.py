"""Conversion of published detector weights to ONNX, without TensorFlow."""
