"""What the layers of a torch network give, by their names: a layer is a submodule, as `named_modules` calls it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Interpreter, Node

from rosetta.adapters.blocks import in_blocks
from rosetta.arrays import Array, Floats
from rosetta.errors import ModelError

Layers = Callable[[Array, Sequence[str]], dict[str, Floats]]  # inputs and names to activations, (n_items, …) each
Call = Callable[[Array], object]


def layers_of(module: nn.Module, call: Call, *, kind: str, n_rows: int | None = None) -> Layers:
    """Return what gives the activations of a module's layers, from forward hooks.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    call : callable
        Runs the module on a block of items, float32, shape (n_rows, …); what it returns is not looked at.
    kind : str
        What messages call the model.
    n_rows : int, optional
        How many items the model takes at a time, where it takes no other number.
    """

    def block(names: Sequence[str], items: Array) -> list[Array]:
        with _recording(module, names) as recorded:
            call(items)
        return [_numbers(recorded.get(name), name, kind) for name in names]

    return partial(_by_name, dict(module.named_modules()).keys() - {""}, block, kind, n_rows)


def layers_of_program(
    graph: nn.Module, tensor: Callable[[Array], torch.Tensor], *, kind: str, n_rows: int | None
) -> Layers:
    """Return what gives the activations of the layers of a torch.export program: where its graph leaves each of them.

    The graph has no modules, but says of each operation which modules it was in.
    """
    last: dict[str, Node] = {}
    nodes = graph.graph.nodes if isinstance(graph, GraphModule) else ()
    for node in nodes:
        if node.op == "call_function":
            last |= {path: node for path, _ in (node.meta.get("nn_module_stack") or {}).values() if path}

    def block(names: Sequence[str], items: Array) -> list[Array]:
        interpreter = _RecordingInterpreter(graph, {last[name] for name in names})
        with torch.inference_mode():
            interpreter.run(tensor(items))
        return [_numbers(interpreter.recorded.get(last[name]), name, kind) for name in names]

    return partial(_by_name, last, block, kind, n_rows)


def layers_of_script(module: Any, tensor: Callable[[Array], torch.Tensor], *, kind: str) -> Layers:
    """Return what gives the activations of the layers of a TorchScript module.

    Hooks do not reach into its interpreter: the part of the graph that leads up to a layer's output is run alone.
    """

    def block(names: Sequence[str], items: Array) -> list[Array]:
        with torch.inference_mode():
            return [_numbers(_output(module, "forward", [tensor(items)], name), name, kind) for name in names]

    return partial(_by_name, {name for name, _ in module.named_modules() if name}, block, kind, None)


def _by_name(
    known: Collection[str],
    block: Callable[[Sequence[str], Array], list[Array]],
    kind: str,
    n_rows: int | None,
    inputs: Array,
    names: Sequence[str],
) -> dict[str, Floats]:
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ModelError(f"{kind} has no layer called {name!r}.{hint} Known: {', '.join(sorted(known)) or 'none'}.")
    if not wanted:
        return {}
    return dict(zip(wanted, in_blocks(partial(block, wanted), inputs, kind=kind, n_rows=n_rows), strict=True))


@contextmanager
def _recording(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, object]]:
    """Yield a dictionary of the layers' outputs, filled as the module runs; of several calls the last counts."""
    recorded: dict[str, object] = {}

    def record(name: str, layer: nn.Module, arguments: object, output: object) -> None:
        recorded[name] = output

    known = dict(module.named_modules())
    hooks = [known[name].register_forward_hook(partial(record, name)) for name in names]
    try:
        yield recorded
    finally:
        for hook in hooks:
            hook.remove()


def _numbers(output: object, name: str, kind: str) -> Array:
    """Return a layer's output, the first of several, as float32."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, torch.Tensor) or not output.is_floating_point():
        found = "is not run when items are encoded" if output is None else f"gives {type(output).__name__}, not floats"
        raise ModelError(f"{kind} has no activations of the layer {name!r}: it {found}")
    array: Array = output.detach().float().cpu().numpy()
    return array


class _RecordingInterpreter(Interpreter):
    """Runs a graph, and remembers what some of its nodes give."""

    def __init__(self, graph: nn.Module, wanted: set[Node]) -> None:
        super().__init__(graph)
        self.wanted, self.recorded = wanted, dict[Node, object]()

    def run_node(self, n: Node) -> object:
        """Run a node as ever."""
        result = super().run_node(n)
        if n in self.wanted:
            self.recorded[n] = result
        return result


def _output(module: Any, method: str, arguments: list[Any], name: str) -> object:
    """Return the output of the layer `name` as a method of a TorchScript module calls it; None if it does not."""
    for number, call in enumerate(_calls(module, method)):
        owner, called = _path(call.inputsAt(0)), call.s("name")
        if owner == name and called == "forward":
            return _value(module, method, arguments, number, None)
        if not owner or name.startswith(f"{owner}."):
            n_inputs = len(list(call.inputs()))
            given = [_value(module, method, arguments, number, each) for each in range(1, n_inputs)]
            below = reduce(getattr, owner.split("."), module) if owner else module
            found = _output(below, called, given, name[len(owner) + 1 :] if owner else name)
            if found is not None:
                return found
    return None


def _value(module: Any, method: str, arguments: list[Any], number: int, argument: int | None) -> object:
    """Return what one of a method's calls is given as an argument, or gives."""
    graph = module._c._get_method(method).graph.copy()
    call = _calls_in(graph)[number]
    value = call.output() if argument is None else call.inputsAt(argument)
    for _ in list(graph.outputs()):
        graph.eraseOutput(0)
    graph.registerOutput(value)
    return torch._C._create_function_from_graph("part", graph)(module._c, *arguments)


def _calls(module: Any, method: str) -> list[Any]:
    return _calls_in(module._c._get_method(method).graph)


def _calls_in(graph: Any) -> list[Any]:
    return [node for node in graph.nodes() if node.kind() == "prim::CallMethod"]


def _path(value: Any) -> str:
    """Return the name of the submodule that a value of the graph is."""
    names = []
    while value.node().kind() == "prim::GetAttr":
        names.append(value.node().s("name"))
        value = value.node().inputsAt(0)
    return ".".join(reversed(names))
