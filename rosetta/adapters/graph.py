"""torch.export archives without what could run code when they are read.

`torch.export.load` trusts its file: it unpickles what claims to be pickled, evaluates sizes as expressions, executes
guards and node names as parts of source code, looks functions up by any dotted name, and loads compiled libraries.
So an archive is rebuilt from what was looked at: numbers, and a graph of torch's own operators.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rosetta.adapters.archive import is_harmless_pickle
from rosetta.errors import ModelError

GRAPH, OLD_GRAPH = "models/model.json", "serialized_exported_program.json"
NUMBERS = re.compile(r"data/(weights|constants)/(weight|tensor)_[0-9]+")
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
PICKLES = ("data/weights/model.pt", "data/constants/model.pt", "serialized_state_dict.pt", "serialized_constants.pt")
EXAMPLES = ("data/sample_inputs/model.pt", "serialized_example_inputs.pt")  # not needed: torch takes no bytes for none
MARKS = ("archive_format", "archive_version", "byteorder", ".data/version", ".data/serialization_id", "version")

_TOUCHES_FILES = ("save", "from_file")
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims)\.(?P<op>\w+)(\.\w+)?"
    r"|torch\.ops\.higher_order\.(cond|map_impl|scan|while_loop|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|torch\.(sym_\w+|_sym_sqrt)|math\.\w+"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|pow|neg|pos|lt|le|gt|ge|eq|ne|and_|or_|not_)",
    re.ASCII,
)
_SYMBOL = re.compile(r"Symbol\('\w+'", re.ASCII)  # what may be quoted in an expression: a name
_EXPRESSION = re.compile(r"[\w\s+\-*/%(),<>=!&|~.]{0,4000}", re.ASCII)
_LOWER_CALL = re.compile(r"\b[a-z_]\w*\s*\(|__|\.\s*[A-Za-z_]", re.ASCII)  # a builtin, or an attribute
_PATH = re.compile(r"[\w.]{0,1000}", re.ASCII)
_NAME = re.compile(r"\w*", re.ASCII)
_PLAIN = re.compile(r"[\w.,:<>/\-+= \[\]]{0,1000}", re.ASCII)
_TREES = ("in_spec", "out_spec")
_TREE_TYPES = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")


def harmless(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return what of an exported program's files is needed to run it, none of which can run code.

    Raises
    ------
    ModelError
        If its weights are pickled objects, or its graph holds anything but operators on numbers.
    """
    kept = {name: data for name, data in files.items() if name in MARKS or NUMBERS.fullmatch(name)}
    for name in {GRAPH, OLD_GRAPH} & files.keys():
        kept[name] = _checked_graph(files[name])
    for name in {*CONFIGS} & files.keys():
        kept[name] = _checked_config(files[name])
    for name in {*PICKLES} & files.keys():
        if not is_harmless_pickle(files[name]):
            raise _refusal(f"{name} is a pickle of more than tensors, which can run code")
        kept[name] = files[name]
    for name in {*EXAMPLES} & files.keys():
        kept[name] = b""
    return kept


def _refusal(why: str) -> ModelError:
    return ModelError(
        f"the torch.export program is not loaded: {why}. If you trust whoever wrote it, pass `allow_pickle`"
    )


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the torch.export program is damaged ({error}): export it again") from error


def _checked_config(data: bytes) -> bytes:
    """Refuse weights that are to be unpickled, and constants that are objects."""
    config = _json(data)
    try:
        payloads = [(str(each["path_name"]), each["use_pickle"]) for each in config["config"].values()]
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelError("the torch.export program is damaged: it does not say where its weights are") from error
    for name, is_pickled in payloads:
        if is_pickled is not False or not re.fullmatch(r"(weight|tensor)_[0-9]+", name):
            raise _refusal(f"{name[:80]!r} among its weights is a pickle, which can run code")
    return json.dumps(config).encode()


def _checked_graph(data: bytes) -> bytes:
    document = _json(data)
    if not isinstance(document, dict) or not isinstance(document.get("graph_module"), dict):
        raise ModelError("the torch.export program is damaged: it has no graph")
    if "guards_code" in document:
        document["guards_code"] = []  # source code, which torch would execute; shapes are checked anyway
    _check(document, "")
    return json.dumps(document).encode()


def _check(value: Any, key: str) -> None:
    """Go through the graph; drop what nothing needs, and refuse what could be more than an operator on numbers."""
    if isinstance(value, dict):
        paths = _module_paths(value.pop("metadata", None))  # the rest says where the code was that the nodes come from
        for name, each in value.items():
            if not _PLAIN.fullmatch(name):
                raise _refusal(f"its graph holds the name {name[:80]!r}")
            _check(each, name)
        if paths is not None:
            value["metadata"] = paths
    elif isinstance(value, list):
        for each in value:
            _check(each, key)
    elif isinstance(value, str):
        _check_text(value, key)


def _module_paths(metadata: Any) -> dict[str, str] | None:
    """Return the names of the modules that a node was in, the outermost first, written anew; None if nothing is there.

    torch.export reads them as ``key,path,type``, and looks nothing up.
    """
    if metadata is None:
        return None
    stack = metadata.get("nn_module_stack") if isinstance(metadata, dict) else None
    entries = [each.split(",") for each in stack.split(";")] if isinstance(stack, str) else []
    paths = [entry[1] for entry in entries if len(entry) > 1 and _PATH.fullmatch(entry[1])]
    written = ";".join(f"{number},{path},torch.nn.Module" for number, path in enumerate(paths))
    return {"nn_module_stack": written} if written else {}


def _check_text(text: str, key: str) -> None:
    if key in ("target", "as_operator"):
        operator = _OPERATOR.fullmatch(text)
        if operator is None or operator["op"] in _TOUCHES_FILES:
            raise _refusal(f"its graph calls {text[:80]!r}, which is none of torch's operators on numbers")
    elif key == "expr_str":
        rest = _SYMBOL.sub("Symbol(", text)
        if not _EXPRESSION.fullmatch(rest) or _LOWER_CALL.search(rest):
            raise _refusal(f"the size {text[:80]!r} in its graph is no formula")
    elif key in _TREES:
        if text and not _is_plain_tree(_json(text.encode())):
            raise _refusal("what it takes or gives is of a Python class")
    elif not (_NAME if key == "name" else _PLAIN).fullmatch(text):
        raise _refusal(f"its graph holds the text {text[:80]!r}")


def _is_plain_tree(tree: Any) -> bool:
    """Whether a tree of arguments is of tuples, lists and dictionaries."""
    if isinstance(tree, list):  # the version, then the tree
        return all(_is_plain_tree(each) for each in tree if not isinstance(each, int))
    if not isinstance(tree, dict) or tree.get("type") not in _TREE_TYPES:
        return False
    return all(_is_plain_tree(each) for each in tree.get("children_spec", []))
