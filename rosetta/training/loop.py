"""A lean training loop: tensors stay in memory and are indexed, there is no loader for each item."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from rosetta.errors import TrainingError
from rosetta.training.divergence import Divergence, DivergenceWatch, explain
from rosetta.training.items import Batch, Generators, Items, Share
from rosetta.training.measuring import HeldOut, evaluate
from rosetta.training.patience import Patience
from rosetta.training.plan import Epoch, Plan, Progress
from rosetta.training.procedures import Procedure
from rosetta.training.procedures.joint import Joint
from rosetta.training.programs import Program, clip

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PROGRESS_EVERY_S = 0.1
STEPS_A_WORD = 10
OVERSHOOT_RATIO = 1.25  # times the tolerance: a held weight ends a little above or below


class AnchorWeighting(Protocol):
    """From terms to a loss; holds the anchors' weight."""

    def __call__(self, terms: Mapping[str, Tensor], *, annealed: float) -> Tensor:
        """Return the loss, of the terms' own shape."""

    def derived(self, terms: Mapping[str, Tensor], *, position: float) -> Mapping[str, Tensor]:
        """Return terms that follow from others when so many passes over the data are done."""

    def held_out_losses(self, measured: Sequence[Mapping[str, float]], *, position: float) -> list[float]:
        """Return each model's loss without anchors, from its means over held-out items."""

    @property
    def over_items(self) -> Set[str]:
        """The terms that are means over a batch, and not over anchors."""

    @property
    def anchor_weights(self) -> Tensor | None:
        """The anchors' weights in force, of shape () or (n_models,)."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state of what is held."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Go on with a saved state."""


class AnchorDraws(Protocol):
    """The anchors of each step."""

    def draw(self) -> Any:
        """Return the anchors of one step, as the program takes them."""

    def state(self) -> dict[str, Tensor]:
        """Return what `restore` takes."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on where a saved state stood."""


class Keeper(Protocol):
    """Saves the state of a training from time to time."""

    def is_due(self, epoch: int, *, ends: bool) -> bool:
        """Whether to save now; `ends` says that the epoch is over."""

    def keep(self, training: Training) -> None:
        """Save the state."""

    @property
    def must_stop(self) -> bool:
        """Whether the user or the system asked for an end."""


class Training:
    """The state of a training, and its steps.

    Parameters
    ----------
    program : Program
        The model or models.
    weighing : Weighing
        From their terms to losses.
    anchors : Drawing, optional
        What they are anchored to.
    items : Items
        What they are trained on.
    held_out : HeldOut
        What they are measured on.
    seeds : sequence of int
        For each model, the seed of the order of items and of the noise.
    procedure : Procedure, optional
        How a step is made; the encoder and the decoder together, if not given.
    """

    def __init__(
        self,
        program: Program,
        weighing: AnchorWeighting,
        anchors: AnchorDraws | None,
        items: Items,
        held_out: HeldOut,
        *,
        plan: Plan,
        seeds: Sequence[int],
        device: torch.device,
        fabric: Fabric,
        procedure: Procedure | None = None,
    ) -> None:
        self.program, self.weighing, self.anchors, self.items, self.held_out = (
            program, weighing, anchors, items, held_out,
        )  # fmt: skip
        self.plan, self.device, self.fabric = plan, device, fabric
        self.procedure: Procedure = procedure or Joint()
        fused = device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.Adam(program.parameters, lr=plan.schedule.lr, fused=fused)
        self.generators = [
            Generators(torch.Generator().manual_seed(seed), torch.Generator(device).manual_seed(seed)) for seed in seeds
        ]
        self.patience = None if plan.patience is None else Patience(plan.patience, program.n_models)
        self.diverged: dict[int, Divergence] = {}
        self.epoch, self.step = 1, 0  # what is next; the step is that of the epoch, from 0
        self.pass_s = self.spent_s = 0.0  # seconds of this epoch, and of those before
        self.epoch_began = self.generator_states()
        self.watch = self.new_watch()
        self._n_asked = 0  # times that somebody asked whether to stop

    def generator_states(self) -> list[tuple[Tensor, Tensor]]:
        """Return the states of each model's generators."""
        return [(each.order.get_state(), each.noise.get_state()) for each in self.generators]

    def run(
        self,
        on_epoch: Callable[[list[Epoch]], None],
        on_progress: Callable[[Progress], None],
        keeper: Keeper,
    ) -> None:
        """Train until the last epoch, or until every model has stopped.

        Raises
        ------
        TrainingError
            If a term is no longer a finite number: names the epoch, the step and the term.
        KeyboardInterrupt
            If the keeper says that it must stop, after the state was kept.
        """
        schedule = self.plan.schedule
        while self.epoch <= schedule.epochs and self._goes_on:
            self._pass(on_progress, keeper)
            self._check_weights()
            means = self.watch.means(self.program.n_models)
            self.spent_s += self.pass_s
            self.procedure.end_epoch(self)
            on_epoch(self._epochs(means))
            self.epoch, self.step = self.epoch + 1, 0
            self.epoch_began = self.generator_states()
            self.watch = self.new_watch()
            self._keep_if_due(keeper, self.epoch - 1, ends=True)
        if self.patience:
            self.patience.restore_best(self.program)

    @property
    def _goes_on(self) -> bool:
        """Whether a model is left that neither stopped early nor diverged."""
        stopped = self.patience.stopped_at if self.patience else [None] * self.program.n_models
        return any(each is None and model not in self.diverged for model, each in enumerate(stopped))

    def _pass(self, on_progress: Callable[[Progress], None], keeper: Keeper) -> None:
        """Go through the items once, or through what an interrupted epoch has left."""
        self.program.train(True)
        share = Share(self.fabric.global_rank, self.fabric.world_size)
        n_rows, last_report = self.items.n_items * self.plan.schedule.epochs, time.perf_counter()
        before, started = self.pass_s if self.step else 0.0, time.perf_counter()
        for number, batch in enumerate(self.items.batches(self.generators, self.plan.batch_size, share)):
            if number < self.step:
                continue  # done before the interruption
            self.train_on(batch)
            self.step += 1
            now = time.perf_counter()
            self.pass_s = before + now - started
            if self.watch.is_due:
                self._look()
                self._keep_if_due(keeper, self.epoch, ends=False)
            if now - last_report > PROGRESS_EVERY_S:
                last_report = now
                done = self.items.n_items * (self.epoch - 1) + self.watch.n_items
                rate = self.watch.n_items / max(self.pass_s, 1e-9)
                on_progress(Progress(self.epoch, done, n_rows, rate))
            if self._must_stop(keeper):
                self._look()
                keeper.keep(self)
                raise KeyboardInterrupt
        self._look()
        self.pass_s = before + time.perf_counter() - started  # looking waited for the device, so this is true

    def _must_stop(self, keeper: Keeper) -> bool:
        """Whether any process was asked to end; several talk about it after every tenth step, as it takes time."""
        if self.fabric.world_size == 1:
            return keeper.must_stop
        self._n_asked += 1
        if self._n_asked % STEPS_A_WORD:
            return False
        return bool(self._average(torch.tensor(float(keeper.must_stop), device=self.device)) > 0)

    def train_on(self, batch: Batch) -> None:
        """Take one step, as the procedure makes it."""
        self.procedure.step(self, batch)

    def descend(self, batch: Batch, *, only: Callable[[str], bool] | None = None) -> dict[str, Tensor]:
        """Move the parameters, or those whose name `only` takes, down the loss's gradient, and return its terms."""
        schedule = self.plan.schedule
        position = self.epoch - 1 + (self.watch.n_items + batch.n_items) / self.items.n_items
        if not schedule.is_constant:
            for group in self.optimizer.param_groups:
                group["lr"] = schedule.lr_at(position)
        with self.fabric.autocast():
            terms = self.program(batch.inputs, batch.noise, self.anchors.draw() if self.anchors else None)
        terms |= self.weighing.derived(terms, position=position)
        if batch.share != 1:
            terms |= {name: terms[name] * batch.share for name in self.weighing.over_items & terms.keys()}
        loss = self.weighing(terms, annealed=schedule.annealed(position))
        self.fabric.backward(loss.sum() if loss.ndim else loss)
        if only is not None:
            for name, parameter in self.program.named_parameters():
                if not only(name):
                    parameter.grad = None  # which the optimiser leaves as it is
        if self.plan.clip is not None:
            clip(self.program.parameters, self.plan.clip, n_models=self.program.n_models)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return terms

    def _look(self) -> None:
        for divergence in self.watch.look():
            if not self.plan.goes_on:
                raise TrainingError(explain(divergence, self.program.n_models, self.plan.advice))
            self.diverged.setdefault(divergence.model, divergence)

    @torch.no_grad()
    def _check_weights(self) -> None:
        """Look for weights that the epoch's last step spoilt: no later term would tell if it was the last of all."""
        n_models = self.program.n_models
        spoilt = [~p.isfinite().reshape(n_models, -1).all(1) for p in self.program.parameters]
        for model in torch.stack(spoilt).any(0).nonzero().flatten().tolist():
            divergence = Divergence(model, self.epoch, self.watch.n_steps, "weights", float("nan"))
            if not self.plan.goes_on:
                raise TrainingError(explain(divergence, n_models, self.plan.advice))
            self.diverged.setdefault(model, divergence)

    def _keep_if_due(self, keeper: Keeper, epoch: int, *, ends: bool) -> None:
        if keeper.is_due(epoch, ends=ends):
            if not all(p.isfinite().all() for p in self.program.parameters) and not self.plan.goes_on:
                return  # the next step's terms will say so; what was kept before is good
            keeper.keep(self)

    def _epochs(self, training: list[dict[str, float]]) -> list[Epoch]:
        """Measure, and return what the epoch gave each model that still trains."""
        measured, n_active = evaluate(self.program, self.held_out)
        if self.held_out.counts:
            self._check_measured(measured)
        weights = self.weighing.anchor_weights
        flat = [None] * len(training) if weights is None else weights.reshape(-1).tolist()
        stopped = self.patience.stopped_at if self.patience else [None] * len(training)
        going = [m for m in range(len(training)) if stopped[m] is None and m not in self.diverged]
        if self.patience:
            of_items = self.weighing.held_out_losses(measured, position=self.epoch)
            losses = [self._held_out_loss(m, training[m], of_items[m], flat[m]) for m in range(len(training))]
            self.patience.see(self.epoch, self.fabric.broadcast(losses), self.program)
        schedule = self.plan.schedule
        return [
            Epoch(
                model=m,
                number=self.epoch,
                n_rows=self.items.n_items,
                elapsed_s=self.pass_s,
                lr=schedule.lr_at(self.epoch),
                annealed=schedule.annealed(self.epoch),
                training=training[m],
                validation=measured[m] if self.held_out.counts else None,
                n_active=n_active[m],
                anchor_weight=flat[m],
            )
            for m in going
        ]

    def _check_measured(self, measured: list[dict[str, float]]) -> None:
        for model, terms in enumerate(measured):
            for name, value in terms.items():
                if value != value or abs(value) == float("inf"):
                    divergence = Divergence(model, self.epoch, self.watch.n_steps, name, value)
                    if not self.plan.goes_on:
                        raise TrainingError(explain(divergence, self.program.n_models, self.plan.advice))
                    self.diverged.setdefault(model, divergence)

    def _held_out_loss(
        self, model: int, training: Mapping[str, float], loss: float, weight: float | None
    ) -> float | None:
        """Return what early stopping watches, or None for an epoch that does not count.

        An epoch counts once all of β does, and while a held anchor error is within reach of its tolerance: before
        that the loss is another one. A given anchor weight is part of the loss.
        """
        if self.plan.schedule.annealed(self.epoch) < 1 or model in self.diverged:
            return None
        if weight is None:
            return loss
        target = self.plan.anchor_targets[model]
        if target is None:
            return loss + weight * training["anchor_error"]
        return loss if training["anchor_error"] <= OVERSHOOT_RATIO**2 * target else None

    def new_watch(self) -> DivergenceWatch:
        """Return what sums the terms of the epoch that is next."""
        return DivergenceWatch(self.epoch, self._average)

    def _average(self, tensor: Tensor) -> Tensor:
        """Return the mean over all processes."""
        if self.fabric.world_size == 1:
            return tensor
        mean = self.fabric.all_reduce(tensor, reduce_op="mean")
        assert isinstance(mean, Tensor)  # noqa: S101  as a tensor went in
        return mean
