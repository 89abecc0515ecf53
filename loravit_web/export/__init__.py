"""Export of tasks as ONNX: for Python without torch, for the browser, and for other libraries."""
