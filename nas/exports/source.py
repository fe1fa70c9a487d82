"""Writes `model.py`: the standalone PyTorch source of one architecture. It copies the sources of what the network uses, by name.

The classes and functions of `search_spaces` name what they need as module-level imports, so the closure over those names is all that a
network is made of. What is copied is what was trained: nothing is traced, and dynamic operators stay dynamic.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from search_spaces.architecture import Architecture, Stage
from search_spaces.blocks import BLOCKS
from search_spaces.network import Network, make_head, make_stem

OURS = ("search_spaces.",)
WIDTH = 120

HEADER = '''"""{title}

{architecture}

Standalone: needs PyTorch, and safetensors to load the weights. `build()` makes the network with fresh weights, `load()` the trained one.
Input: float32 (N, {channels}, {resolution}, {resolution}), `normalise(images)` of uint8 images. Output: logits (N, {classes}).
"""
'''

FOOTER = '''

def normalise(images: Tensor) -> Tensor:
    """(N, {channels}, {resolution}, {resolution}) of 0 to 255 -> float32 as in training, with mean and deviation of its images."""
    shape = (1, {channels}, 1, 1)
    return (images.float() - torch.tensor(MEAN).view(shape)) / torch.tensor(STD).view(shape)


def build() -> Network:
    """The network with fresh weights."""
{body}


def load(path: str | Path = "weights.safetensors") -> Network:
    """The trained network in eval mode; a path that is not there is looked for beside this file."""
    from safetensors.torch import load_file

    beside = Path(__file__).parent / path
    network = build()
    network.load_state_dict(load_file(path if Path(path).exists() else beside))
    return network.eval()


def main() -> None:
    """Loads the weights and classifies images, or describes the network where none are given."""
    parser = argparse.ArgumentParser(description="{title}")
    parser.add_argument("images", nargs="*", help="image files to classify (needs Pillow)")
    parser.add_argument("--weights", default="weights.safetensors", help="file of the trained weights")
    options = parser.parse_args()
    network = load(options.weights)
    if not options.images:
        params = sum(p.numel() for p in network.parameters())
        print(f"{{params:,}} parameters, {{len(CLASS_NAMES)}} classes: {{', '.join(CLASS_NAMES[:20])}}")
    for file in options.images:
        probabilities = network(normalise(read(file))).softmax(1)[0]
        best = int(probabilities.argmax())
        print(f"{{file}}: {{CLASS_NAMES[best]}} ({{100 * float(probabilities[best]):.1f}} %)")


def read(file: str) -> Tensor:
    """An image file as (1, {channels}, {resolution}, {resolution}), cropped to a square and resized."""
    from PIL import Image, ImageOps

    image = ImageOps.fit(Image.open(file).convert("{mode}"), ({resolution}, {resolution}))
    return torch.tensor(list(image.tobytes())).view(1, {resolution}, {resolution}, {channels}).permute(0, 3, 1, 2)


if __name__ == "__main__":
    with torch.no_grad():
        main()
'''


def model_source(architecture: Architecture, *, title: str, data: Mapping[str, Any]) -> str:
    """The text of `model.py`.

    Args:
        architecture: what to write out.
        title: its first line.
        data: `mean` and `std` of the training images (0…255, one value a channel) and `class_names`.
    """
    used = [
        Network,
        make_stem,
        make_head,
        *{stage.mixer: BLOCKS[stage.mixer] for stage in architecture.stages}.values(),
    ]
    sources, modules, names = collect(used)
    names.setdefault("pathlib", set()).add("Path")
    names.setdefault("torch", set()).add("Tensor")
    modules |= {"import argparse", "import torch"}
    words = {
        "title": title,
        "architecture": _wrap(str(architecture)),
        "channels": architecture.channels,
        "resolution": architecture.resolution,
        "classes": architecture.classes,
        "mode": "L" if architecture.channels == 1 else "RGB",
        "body": _body(architecture),
    }
    constants = (
        f"MEAN = {list(data['mean'])!r}\nSTD = {list(data['std'])!r}\n"
        f"CLASS_NAMES = [\n{''.join(f'    {_quoted(name)},{chr(10)}' for name in data['class_names'])}]\n"
    )
    parts = [
        HEADER.format(**words),
        "from __future__ import annotations\n",
        imports(modules, names),
        constants,
        *(f"\n{source}" for source in sources),
    ]
    return "\n".join(parts) + FOOTER.format(**words)


def collect(used: list[Any]) -> tuple[list[str], set[str], dict[str, set[str]]]:
    """Sources of these objects and of all of ours that they name, those needed first; `import` lines; names by module."""
    sources: dict[str, str] = {}
    modules: set[str] = set()
    names: dict[str, set[str]] = {}

    def visit(thing: Any) -> None:
        if thing.__qualname__ in sources:
            return
        source = _plain(thing)
        sources[thing.__qualname__] = ""  # its place is taken: a cycle ends here
        space = vars(sys.modules[thing.__module__])
        for name in _names(source):
            if name not in space:
                continue
            value = space[name]
            if isinstance(value, ModuleType):
                modules.add(_import_of(name, value))
            elif getattr(value, "__module__", "").startswith(OURS) and hasattr(value, "__qualname__"):
                if value is not thing:
                    visit(value)
            elif getattr(value, "__module__", None) is None or not hasattr(value, "__name__"):
                raise ValueError(
                    f"{thing.__module__}.{name} is a constant: an exported class may name classes and functions only"
                )
            else:
                names.setdefault(_public_home(value.__module__, name), set()).add(name)
        sources[thing.__qualname__] = sources.pop(thing.__qualname__) or source

    for thing in used:
        visit(thing)
    return list(sources.values()), modules, names


def imports(modules: set[str], names: Mapping[str, set[str]]) -> str:
    """Import lines in ruff's order: the standard library, then the rest."""
    words = {home: set(found) for home, found in names.items()}
    lines = []
    for module in sorted(modules):
        if module.startswith("from "):
            _, home, _, name = module.split()
            words.setdefault(home, set()).add(name)
        else:
            lines.append(module)
    lines += [f"from {home} import {', '.join(sorted(found, key=_case))}" for home, found in words.items()]
    standard = [line for line in lines if line.split()[1].split(".")[0] in sys.stdlib_module_names]
    others = [line for line in lines if line not in standard]

    def order(line: str) -> tuple[bool, str]:
        return line.startswith("from"), line.split()[1]

    return "\n\n".join("\n".join(sorted(block, key=order)) for block in (standard, others) if block) + "\n"


def _plain(thing: Any) -> str:
    return inspect.getsource(thing).rstrip() + "\n"


def _names(source: str) -> list[str]:
    """Every name that a source mentions, annotations in it too, in order."""
    return list(dict.fromkeys(node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)))


def _import_of(name: str, module: ModuleType) -> str:
    path = module.__name__
    if path == name:
        return f"import {path}"
    parent, _, last = path.rpartition(".")
    if last == name:
        return f"from {parent} import {name}"
    return f"import {path} as {name}"


def _public_home(module: str, name: str) -> str:
    """The shortest package that offers the name: `torch` in place of `torch._tensor`."""
    parts = module.split(".")
    for end in range(1, len(parts)):
        home = ".".join(parts[:end])
        if hasattr(sys.modules.get(home), name):
            return home
    return module


def _body(architecture: Architecture) -> str:
    stem = architecture.stem
    lines = [
        "    return Network(",
        f"        make_stem({architecture.channels}, {stem.width}, kernel={stem.kernel}, stride={stem.stride}, pool={stem.pool}),",
        "        nn.Sequential(",
    ]
    c_in = stem.width
    for stage in architecture.stages:
        lines.append("            nn.Sequential(")
        lines += _fitted(_call(stage, c_in, stage.stride), indent=16)
        again = _call(stage, stage.width, 1)
        if stage.depth == 2:
            lines += _fitted(again, indent=16)
        elif stage.depth > 2:
            lines += _repeated(again, stage.depth - 1)
        lines.append("            ),")
        c_in = stage.width
    lines += ["        ),", f"        make_head({c_in}, {architecture.head}, {architecture.classes}),", "    )"]
    return "\n".join(lines)


def _call(stage: Stage, c_in: int, stride: int) -> str:
    function: Callable[..., Any] = BLOCKS[stage.mixer]
    options = "".join(
        f", {name}={_quoted(value) if isinstance(value, str) else repr(value)}" for name, value in stage.options
    )
    return f"{function.__name__}({c_in}, {stage.width}, stride={stride}{options})"


def _fitted(call: str, *, indent: int, end: str = ",") -> list[str]:
    """A call as the formatter would break it: on one line, else its arguments on the next, else one a line."""
    space = " " * indent
    if len(f"{space}{call}{end}") <= WIDTH:
        return [f"{space}{call}{end}"]
    function, _, rest = call.partition("(")
    arguments = rest.removesuffix(")")
    if len(space) + 4 + len(arguments) <= WIDTH:
        inner = [f"{space}    {arguments}"]
    else:
        inner = [f"{space}    {argument}," for argument in _split(arguments)]
    return [f"{space}{function}(", *inner, f"{space}){end}"]


def _repeated(call: str, times: int) -> list[str]:
    line = f"                *({call} for _ in range({times})),"
    if len(line) <= WIDTH:
        return [line]
    inner = _fitted(call, indent=20, end="")
    return ["                *(", *inner, f"                    for _ in range({times})", "                ),"]


def _split(arguments: str) -> list[str]:
    """Arguments one by one; commas inside of brackets do not part them."""
    parts, depth = [""], 0
    for character in arguments:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _wrap(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 116, break_long_words=False))


def _case(name: str) -> tuple[int, str]:
    """Ruff's order of imported names: constants, classes, functions."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name
