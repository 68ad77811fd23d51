"""Answer questions from documents: recall, rerank, generate."""

import os

# Libraries that report to their makers, told not to. Here, because Python runs this before any other file of rag/, and
# no file elsewhere in the product imports such a library (contracts in pyproject.toml): neither the page nor the shell
# nor a child process can be ahead of it. onnxruntime reads it when it is loaded; its disable_telemetry_events() comes
# too late, after a device id has been written to the home folder.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
