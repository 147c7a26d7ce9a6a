"""Whose file is it? Answered from the path's text alone, on any system's paths."""

from __future__ import annotations

import re

# Patterns are strings: `re` compiles and keeps them at their first use, so the import stays cheap.
_PSEUDO = r"<(?:ipython-input|stdin|string|input|console|doctest|cell|timed )"
_CELL = r"(?:Cell|Input) In ?\[|In ?\[\d"
_PYTHON_HOME = r"python[\d.-]*|(?:ana|mini)conda\d?|(?:mini|mamba)forge\d?|(?:micro)?mamba|conda"
_LIBRARY = "|".join(
    (
        r"(?:^|/)(?:site|dist)-packages/",
        r"(?:^|/)lib(?:32|64)?/(?:python|pypy)\d[\d.]*t?/",
        rf"(?i:^[a-z]:/(?:.*/)?(?:{_PYTHON_HOME}|envs/[^/]+)/lib/)",
        r"/python\d+\.zip/",
        r"\.(?:egg|whl)/",
        # a checkout, or a path that the build shortened: torch/nn/modules/linear.py
        r"(?:^|/)torch/(?:_\w+|nn|optim|utils|autograd|cuda|mps|xpu|cpu|backends|distributed|distributions|fx"
        r"|func|functional|jit|amp|ao|serialization|multiprocessing|hub|export|compiler|library|linalg|fft"
        r"|sparse|onnx|package|profiler|quantization|random|storage|masked|nested|overrides)(?:/|\.py)",
        r"(?:^|/)torch/(?:csrc|include|share)/",
        r"^(?:torch|torchvision|torchaudio|numpy|pandas|scipy|sklearn|matplotlib|PIL)/",
        r"^[^/]*\.(?:pyx|pxi|pxd)$",
        r"/torchinductor_\w+/",
        r"/torch/hub/",
        r"/\.cache/huggingface/modules/",
        r"/(?:debugpy|pydev|pydevd|_pydev_bundle|_pydev_runfiles)/",
        r"/\.vscode(?:-server)?/extensions/",
        r"(?:^|/)(?:s?bin|Scripts)/[^/]*(?<!\.py)$",
        r"/Scripts/[^/]+\.exe/",
        r"(?:^|/)torchmedic/(?:observed|rules|probes|fix|render|abstract)/",
        r"(?:^|/)torchmedic/(?:__main__|__init__|api|cli|config|engine)\.py$",
    )
)


def is_user_path(path: str) -> bool:
    """False for a path of the standard library, an installed package, a PyTorch checkout or this tool.

    Notebook cells and what was typed at a prompt are the user's; generated code (`<frozen …>`) is not.
    """
    if path.startswith("<"):
        return re.match(_PSEUDO, path) is not None
    if re.match(_CELL, path):
        return True
    return re.search(_LIBRARY, path[-4096:].replace("\\", "/")) is None
