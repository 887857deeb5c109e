"""Anchors in a pythae model, trained by pythae: a subclass that adds them to the model's loss."""

import sys
from tempfile import TemporaryDirectory
from typing import Any

import torch
from digits import setting

import rosetta

try:
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig
except ModuleNotFoundError as error:
    sys.exit(
        f"this example needs pythae 0.1.2 ({error}). Install it without changing Rosetta's dependencies: "
        "pip install --no-deps pythae==0.1.2 && pip install cloudpickle imageio scipy tqdm"
    )


class AnchoredVAE(VAE):
    """pythae's VAE; other pythae models work in the same way."""

    def __init__(self, config: VAEConfig, bundle: rosetta.Bundle) -> None:
        super().__init__(config)
        self.anchors = rosetta.AnchorLoss(bundle)

    def forward(self, inputs: Any, **kwargs: Any) -> ModelOutput:
        """Add the anchors to the loss; `embedding` is the posterior mean, whereas pythae's `embed` returns samples."""
        output = super().forward(inputs, **kwargs)
        output["loss"] = output.loss + self.anchors(lambda x: self.encoder(x).embedding)
        return output


def main() -> None:
    """Train Bob's model without anchors and with them."""
    alice = setting(__doc__)
    config = VAEConfig(input_dim=(8, 8), latent_dim=alice.latents.shape[1])
    torch.manual_seed(0)
    models = {"without anchors": VAE(config), "with anchors": AnchoredVAE(config, alice.bundle)}
    for model in models.values():
        with TemporaryDirectory() as folder:
            training = BaseTrainerConfig(
                output_dir=folder, num_epochs=alice.epochs, learning_rate=1e-3, keep_best_on_train=True, no_cuda=True
            )
            TrainingPipeline(model, training)(train_data=alice.items)
    for name, model in models.items():
        with torch.no_grad():
            alice.show(name, lambda x, model=model: model.encoder(torch.from_numpy(x)).embedding.numpy())


if __name__ == "__main__":
    main()
