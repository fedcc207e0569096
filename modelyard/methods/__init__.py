"""The mathematics and the machine learning. Knows nothing of the platform: usable alone as a library."""

MODEL_CODE = (
    "modelyard.methods.networks",
    "modelyard.methods.preprocessing",
    "modelyard.methods.runtimes",
    "modelyard.methods.tasks",
)
"""Packages whose modules `model.json` names: they are imported when a model is opened, and no import statement tells of
them. A stage that makes or opens models counts their code."""

MODEL_LIBRARIES = (
    "numpy",
    "scipy",
    "pyarrow",
    "tokenizers",
    "torch",
    "transformers",
    "lightgbm",
    "onnxruntime",
    "openvino",
)
"""Distributions whose versions may change what a model of any format answers, or what is computed of its answers."""
