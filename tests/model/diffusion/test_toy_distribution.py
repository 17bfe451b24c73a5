"""Flow matching learns a distribution that is known."""

import torch
from torch import nn

from alpamayo_r1.diffusion.flow_matching import FlowMatching


class Field(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.layers(torch.cat([x.flatten(1), t.reshape(-1, 1)], dim=1)).reshape(x.shape)


def drawn(count: int) -> torch.Tensor:
    """Return two clusters (count, 1, 2): a quarter about (-2, 1), the others about (1, -1), each with deviation 0.3."""
    first = (torch.rand(count) < 0.25)[:, None]
    centre = torch.where(first, torch.tensor([-2.0, 1.0]), torch.tensor([1.0, -1.0]))
    return (centre + 0.3 * torch.randn(count, 2))[:, None]


def test_two_clusters_are_recovered():
    torch.manual_seed(0)
    diffusion = FlowMatching(x_dims=(1, 2), num_inference_steps=50)
    field = Field()
    optimizer = torch.optim.Adam(field.parameters(), lr=2e-3)
    for _ in range(2500):
        data = diffusion.construct_training_data(drawn(512))
        loss = diffusion.compute_loss_from_pred(data, field(data["noisy_x"], data["timesteps"]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        samples = diffusion.sample(4000, lambda *, x, t: field(x, t))[:, 0]
    first = samples[:, 0] < -0.5
    assert abs(float(first.float().mean()) - 0.25) < 0.04
    for own, centre in ((samples[first], (-2.0, 1.0)), (samples[~first], (1.0, -1.0))):
        torch.testing.assert_close(own.mean(0), torch.tensor(centre), atol=0.1, rtol=0)
        torch.testing.assert_close(own.std(0), torch.tensor([0.3, 0.3]), atol=0.1, rtol=0)
