"""Where a training runs: one device, or several processes of one or more machines (Lightning Fabric)."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from torch.nn.parallel import DistributedDataParallel

from rosetta.errors import RosettaError, TrainingError, UsageError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment

T = TypeVar("T")

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"32": "32-true", "bf16": "bf16-mixed"}
LOST = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe", "timed out")  # in torch's messages


def launched_processes() -> int:
    """Return the number of processes that a launcher (torchrun, srun) started this one among; 1 without one.

    A SLURM batch script has most of srun's variables too, but runs once and is no step of its job.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) if "SLURM_PROCID" in os.environ else 1


def is_started() -> bool:
    """Whether this process is one of several already: a launcher's, or one that the first process started."""
    return launched_processes() > 1 or "LOCAL_RANK" in os.environ


def is_first_process() -> bool:
    """Whether this is the process that writes and prints: of several, exactly one is."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        names = ["RANK"]
    elif launched_processes() > 1:
        names = ["SLURM_PROCID"]
    else:
        names = ["LOCAL_RANK", "NODE_RANK"] if "LOCAL_RANK" in os.environ else []
    return all(int(os.environ.get(name, 0)) == 0 for name in names)


def check_counts(*, devices: int, nodes: int, n_items: int, batch_size: int) -> None:
    """Refuse more processes than there are items to train on, or items in a step.

    Raises
    ------
    UsageError
        If a process would have nothing to do.
    """
    n_processes = max(devices * nodes, launched_processes())
    for n_rows, what, advice in (
        (n_items, "items to train on", "take fewer processes"),
        (batch_size, "items in a step", "take fewer processes, or a larger `batch_size`"),
    ):
        if n_processes > n_rows:
            raise UsageError(f"there are {n_processes} processes, but only {n_rows} {what}: {advice}")


def make_fabric(device: torch.device, *, devices: int, nodes: int, precision_mode: str) -> Fabric:
    """Return Fabric for the device, on so many of them, with the processes started.

    Raises
    ------
    UsageError
        If a launcher started another number of processes, or there are not so many devices.
    """
    devices, nodes = _counts(devices, nodes)
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise UsageError(f"`devices` is {devices}, but this machine has {torch.cuda.device_count()}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on import it warns about its own deprecations
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

    several = devices * nodes > 1
    if several and not is_started() and not hasattr(sys.modules["__main__"], "__file__"):
        raise UsageError("`devices` starts the program anew for each device: call it from a script, or `rosetta train`")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it counts processes aloud
    # nothing in the models is to be averaged but gradients; torch 2.13 gave the option another name
    buffers = {"forward_sync_buffers", "broadcast_buffers"} & set(signature(DistributedDataParallel).parameters)
    quiet: dict[str, Any] = {max(buffers): False}
    more: dict[str, Any] = {"strategy": DDPStrategy(**quiet)} if several else {}
    try:
        fabric = Fabric(
            accelerator={"mps": "mps", "cuda": "cuda"}.get(device.type, "cpu"),
            devices=devices, num_nodes=nodes, precision=PRECISIONS[precision_mode], plugins=[_environment()], **more,
        )  # fmt: skip
        if several:
            fabric.launch()
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"`devices={devices}` on `nodes={nodes}` cannot be had here: {error}") from error
    return fabric


def start(
    ready: Callable[[], T], device: torch.device, *, devices: int, nodes: int, precision_mode: str
) -> tuple[T, Fabric]:
    """Return what `ready` gives, in every process, and Fabric, with the processes started.

    What is wrong is said once: before other processes are started, or else when all have looked.

    Raises
    ------
    RosettaError
        As `ready` and `make_fabric`; in processes that are not the first a SystemExit.
    """
    alone = None if is_started() else ready()
    with spoken_by_first():
        fabric = make_fabric(device, devices=devices, nodes=nodes, precision_mode=precision_mode)
    with agreed(fabric):
        found = ready() if alone is None else alone
    return found, fabric


@contextmanager
def spoken_by_first() -> Iterator[None]:
    """Let the first process alone say what is wrong with what all were told alike, before they know of one another."""
    try:
        yield
    except RosettaError as error:
        if is_first_process():
            raise
        raise SystemExit(error.exit_code) from error


@contextmanager
def agreed(fabric: Fabric) -> Iterator[None]:
    """Wait for all processes at the end of the block; what went wrong in one of them ends all.

    Raises
    ------
    RosettaError
        In the first process, whose message is the only one.
    SystemExit
        In the others.
    """
    mine: RosettaError | None = None
    try:
        yield
    except RosettaError as error:
        mine = error
    if fabric.world_size == 1:
        if mine is not None:
            raise mine
        return
    said: list[tuple[int, str] | None] = [None] * fabric.world_size
    torch.distributed.all_gather_object(said, None if mine is None else (mine.exit_code, str(mine)))
    wrong = [(rank, *each) for rank, each in enumerate(said) if each is not None]
    if not wrong:
        return
    rank, exit_code, message = wrong[0]
    if fabric.global_rank != 0:
        raise SystemExit(exit_code)
    raise mine if mine is not None else TrainingError(f"process {rank} of {fabric.world_size}: {message}")


@contextmanager
def spoken_once(fabric: Fabric) -> Iterator[None]:
    """Let the first process alone say what ends all of them; one that lost the others says that.

    Raises
    ------
    TrainingError
        If another process is gone.
    SystemExit
        In processes that are not the first, for what the first one says.
    """
    if fabric.world_size == 1:
        yield
        return
    is_first = fabric.global_rank == 0
    try:
        yield
    except RosettaError as error:
        if is_first:
            raise
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt as error:
        with suppress(RuntimeError):
            fabric.barrier()  # a launcher ends the rest when one ends, and the first is still saving
        if is_first:
            raise
        raise SystemExit(130) from error
    except RuntimeError as error:
        if not any(word in str(error).lower() for word in LOST):
            raise
        raise TrainingError(
            f"process {fabric.global_rank} of {fabric.world_size} lost the others: one of them ended, or the network "
            "did. See what it said; if a state was saved, the same command with `resume` goes on from there"
        ) from error


def _counts(devices: int, nodes: int) -> tuple[int, int]:
    """Return devices and nodes, as the launcher says them where the user does not."""
    launched = launched_processes()
    if launched > 1 and devices * nodes == 1:
        local = os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("SLURM_NTASKS_PER_NODE") or launched
        devices, nodes = int(local), launched // int(local)
    if launched > 1 and devices * nodes != launched:
        raise UsageError(
            f"`devices={devices}` on `nodes={nodes}` are {devices * nodes} processes, but the launcher started "
            f"{launched}: leave both out, or make them agree"
        )
    return devices, nodes


def _environment() -> ClusterEnvironment:
    """Return who started the processes; Fabric's own guess takes a SLURM batch script for a step of several tasks."""
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if "TORCHELASTIC_RUN_ID" in os.environ:
        return TorchElasticEnvironment()
    return SLURMEnvironment() if launched_processes() > 1 else LightningEnvironment()
