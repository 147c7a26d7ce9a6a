"""What draws random numbers from a global generator, and what seeds one. Sources: the documentation of each library;
https://docs.pytorch.org/docs/stable/notes/randomness.html"""

from __future__ import annotations

import ast
import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from torchmedic.abstract.registry import DRAWS, FUNCTIONS, draws
from torchmedic.abstract.tables.events import constant, drawn
from torchmedic.abstract.values import Arguments

if TYPE_CHECKING:
    from torchmedic.abstract.notes import Notes

# Layers that draw their weights when they are constructed (`reset_parameters`).
draws("torch", *(f"torch.nn.{name}" for name in (
    "Linear", "Bilinear", "Embedding", "EmbeddingBag", "RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell",
    "MultiheadAttention", "Transformer", "TransformerEncoderLayer", "TransformerDecoderLayer",
    *(f"Conv{n}d" for n in (1, 2, 3)), *(f"ConvTranspose{n}d" for n in (1, 2, 3)),
)))  # fmt: skip
draws("torch", *(f"torch.{name}" for name in ("normal", "bernoulli", "multinomial", "poisson")))
draws("torch", *(f"torch.nn.init.{name}_" for name in (
    "uniform", "normal", "trunc_normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal",
    "orthogonal", "sparse",
)))  # fmt: skip
draws("torch", *(f"torch.utils.data.{name}" for name in ("SubsetRandomSampler", "WeightedRandomSampler", "RandomSampler")))  # fmt: skip
draws("torch", *(f"torchvision.transforms.{name}" for name in (
    "RandomCrop", "RandomHorizontalFlip", "RandomVerticalFlip", "RandomResizedCrop", "RandomRotation", "RandomAffine",
    "RandomErasing", "RandomGrayscale", "RandomPerspective", "RandomApply", "RandomChoice", "ColorJitter",
    "GaussianBlur", "RandAugment", "TrivialAugmentWide", "AutoAugment", "AugMix",
)))  # fmt: skip
draws("numpy", *(f"numpy.random.{name}" for name in (
    "shuffle", "permutation", "beta", "binomial", "poisson", "exponential", "gamma", "laplace", "multinomial",
    "multivariate_normal", "dirichlet", "random_sample", "ranf", "sample", "random_integers", "lognormal", "triangular",
)))  # fmt: skip
draws("numpy", "sklearn.datasets.make_friedman1", "sklearn.datasets.make_swiss_roll")
draws("random", *(f"random.{name}" for name in (
    "triangular", "betavariate", "expovariate", "gammavariate", "lognormvariate", "normalvariate", "vonmisesvariate",
    "getrandbits", "randbytes",
)))  # fmt: skip

# Libraries whose functions are known well enough: what isn't in the tables seeds nothing.
SEEDLESS = frozenset(sys.stdlib_module_names) | {
    "builtins", "torch", "torchvision", "torchaudio", "torchtext", "numpy", "scipy", "sklearn", "pandas", "matplotlib",
    "seaborn", "tqdm", "wandb", "tensorboard", "tensorboardX", "PIL", "cv2", "timm", "einops", "torchmetrics",
    "torchsummary", "torchinfo", "datasets", "tokenizers", "yaml", "rich", "h5py", "nltk", "spacy",
}  # fmt: skip
_SEEDS = r"(?i)seed|determinis|reproduc|random_?state|^fix(ed)?_?(random|rand|rng|every|all)"
_ASKS = r"(?i)^_?(get|initial|add|parse|print|log|worker|init_fn)|worker|manual_seed$|^seed$"
_SETS_UP = (
    r"(?i)^_?(init|initiali[sz]e|set_?up|prepare|configure|bootstrap)(?!.*(log|model|optim|sched|data|loader|weight|parser|"
    r"process_group|layer|device))"
)


def note_draw(machine: Notes, name: str, arguments: Arguments) -> None:
    """Random numbers that a table names. A generator or a seed of the call's own makes it none."""
    which = DRAWS.get(name)
    if which is None:
        return
    if constant(arguments.get(None, "device")) == "meta" or not arguments.is_complete:
        return
    said = machine.name_of(machine.frame.node)
    is_plain = bool(said) and not said.endswith("__init__")
    drawn(machine, which, said if is_plain else name.rpartition(".")[2])


@lru_cache(10_000)
def may_seed(name: str, is_method: bool) -> bool:
    """True if the name of a function or method that can't be read says so."""
    root, _, _ = name.partition(".")
    if not is_method and root in SEEDLESS:
        return False
    last = name.rpartition(".")[2]
    says = bool(re.search(_SEEDS, last)) and not re.search(_ASKS, last)
    return says or (not is_method and bool(re.match(_SETS_UP, last)))


def _takes_seed(machine: Notes, name: str, arguments: Arguments) -> bool:
    """`fix_everything(0)`: a statement of its own, with one integer, before any number is drawn."""
    node = arguments.node
    if not isinstance(node, ast.Call) or name.partition(".")[0] in SEEDLESS:
        return False
    given = constant(arguments.args[0]) if len(arguments.all()) == 1 and arguments.args else None
    if type(given) is not int or not isinstance(machine.frame.source.parent(node), ast.Expr):
        return False
    return not any(event.kind == "draw" for event in machine.events)


def note_unseen(machine: Notes, name: str, arguments: Arguments | None = None) -> None:
    """A function whose code can't be read may seed: its name tells (`utils.seed_everything`, `setup(args)`), or its
    argument. `arguments`: None for a method."""
    is_method = arguments is None
    if name in FUNCTIONS:
        return
    if may_seed(name, is_method) or (
        arguments is not None and _takes_seed(machine, name, arguments)
    ):
        machine.emit("seed", name=name, which="all", value=None, is_unseen=True)
