"""The one training loop: it learns, repeats itself, gives up when it should, and leaves the network as the recipe says."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluators.training.average import WeightAverage
from evaluators.training.data import Data
from evaluators.training.recipe import Recipe
from evaluators.training.state import Epoch
from evaluators.training.train import (
    DivergedError,
    TimedOutError,
    Trained,
    evaluate,
    normalise,
    recalibrate,
    schedule,
    train,
)
from search_spaces.architecture import Architecture, Stage, Stem
from search_spaces.network import Network, build
from tests.evaluators.training.synthetic import data_of

RECIPE = Recipe(epochs=4, batch_size=16, recalibrate=2)


def network_of(mixer: str = "conv1x1", *, seed: int = 0, channels: int = 1, **options: object) -> Network:
    torch.manual_seed(seed)
    stages = (Stage.of(mixer, depth=1, width=16, stride=1, **options),)  # type: ignore[arg-type]
    return build(Architecture(channels, 8, 4, Stem(8), stages))


def run(
    network: nn.Module, recipe: Recipe = RECIPE, *, data: Data | None = None, seed: int = 0, resolution: int = 8
) -> Trained:
    return train(network, data or data_of(), recipe, seed=seed, resolution=resolution)


@pytest.mark.parametrize("mixer", ["pix", "conv1x1", "shuffle", "mux"])
def test_every_mixer_learns_an_easy_task(mixer: str) -> None:
    options = {"shuffle": {"shuffle": "dynamic", "groups": 2}, "mux": {}}.get(mixer, {})
    assert run(network_of(mixer, **options), replace(RECIPE, epochs=8)).accuracy > 0.8


def test_training_is_a_function_of_its_seed() -> None:
    recipe = replace(RECIPE, crop=2, cutout=4, mixup=0.2, randaugment=1, ema=0.9)
    nets = [network_of() for _ in range(3)]
    results = [run(net, recipe, seed=seed) for net, seed in zip(nets, (1, 1, 2), strict=True)]
    assert (results[0].accuracy, results[0].loss) == (results[1].accuracy, results[1].loss)
    assert results[0].loss != results[2].loss
    first, again, other = ([*net.state_dict().values()] for net in nets)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_training_draws_nothing_from_the_global_generator() -> None:
    network = network_of()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    run(network)
    assert torch.equal(before, torch.get_rng_state())


def test_a_step_is_sgd_by_its_formula() -> None:
    """One epoch of two batches against the textbook: Nesterov momentum, decay on filters alone, clipping, cosine after warm-up."""
    recipe = Recipe(epochs=1, batch_size=60, clip=0.5, warmup=0.0, label_smoothing=0.1, recalibrate=0, flip=False)
    data, network, twin = data_of(), network_of(), network_of()
    run(network, recipe, data=data)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    momenta = [torch.zeros_like(p) for p in twin.parameters()]
    twin.to(memory_format=torch.channels_last).train()
    for step, rows in enumerate(order.split(60)):
        logits = twin(normalise(data.train.images[rows], data))
        smooth = torch.full((60, 4), 0.1 / 4).scatter_(1, data.train.labels[rows][:, None], 0.9 + 0.1 / 4)
        loss = -(smooth * F.log_softmax(logits, 1)).sum(1).mean()
        twin.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum(p.grad.square().sum() for p in twin.parameters()))
        rate = 0.1 * (0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / 2))))
        with torch.no_grad():
            for p, m in zip(twin.parameters(), momenta, strict=True):
                gradient = p.grad * min(1.0, 0.5 / (float(norm) + 1e-6)) + (5e-4 * p if p.ndim > 1 else 0)
                m.mul_(0.9).add_(gradient)
                p -= rate * (gradient + 0.9 * m)
    for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=2e-5)


def test_schedule_rises_then_falls_to_zero() -> None:
    rates = [schedule(i / 100, 0.1) for i in range(101)]
    assert 0 < rates[0] < 0.2 and rates[10] == 1.0 and rates[100] == pytest.approx(0)
    assert rates[:11] == sorted(rates[:11]) and rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize(("images", "batch"), [(120, 50), (30, 64), (17, 16), (8, 256)])
def test_batches_that_do_not_fit_are_no_trouble(images: int, batch: int) -> None:
    steps: list[int] = []
    network = network_of()
    network.stem.register_forward_hook(lambda m, args, out: steps.append(len(args[0])) if m.training else None)
    data = data_of(images)
    trained = run(network, replace(RECIPE, batch_size=batch, epochs=1, recalibrate=0), data=data)
    assert steps == [min(batch, images)] * max(1, images // batch)
    assert 0 <= trained.accuracy <= 1 and trained.epochs == 1


def test_a_loss_that_runs_away_is_diverged() -> None:
    with pytest.raises(DivergedError, match="the training loss became (nan|inf) within"):
        run(network_of(), replace(RECIPE, learning_rate=1e18, clip=0.0, warmup=0.0))


def test_weights_that_ran_away_in_the_last_step_are_diverged() -> None:
    network = network_of()
    with torch.no_grad():
        next(network.head.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match="outputs are not finite"):
        evaluate(network, data_of(), data_of().validation)


def test_a_deadline_ends_training_between_steps() -> None:
    with pytest.raises(TimedOutError, match=r"1 of \d+ steps were done when the time was up"):
        train(network_of(), data_of(), RECIPE, seed=0, resolution=8, deadline=time.monotonic())


def test_accuracy_is_the_share_of_right_answers() -> None:
    class Quarter(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            blocks = F.avg_pool2d(x, 4).flatten(1)
            return torch.where(torch.arange(len(x))[:, None] < 15, blocks, -blocks)

    data = data_of()
    assert evaluate(Quarter(), data, data.validation) == 15 / 60


def test_recalibration_takes_the_statistics_of_random_train_images_alone() -> None:
    data, network = data_of(), network_of()
    norm = nn.BatchNorm2d(1, momentum=0.3)
    recalibrate(
        nn.Sequential(norm, nn.Flatten(), nn.Linear(64, 4)), data, batches=8, generator=torch.Generator().manual_seed(0)
    )
    # One batch of all 120 images: normalised images have mean 0 and variance 1.
    assert float(norm.running_mean) == pytest.approx(0, abs=1e-4) and float(norm.running_var) == pytest.approx(
        1, abs=1e-2
    )
    assert norm.momentum == 0.3 and not norm.training
    weights = [p.clone() for p in network.parameters()]
    recalibrate(network, data, batches=1, generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(weights, network.parameters(), strict=True))
    recalibrate(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), data, batches=1, generator=torch.Generator()
    )  # no norms: no trouble


def test_recalibration_sees_every_class_of_sorted_data() -> None:
    data = data_of(4000)
    rows = data.train.labels.argsort(stable=True)
    seen: list[Tensor] = []
    network = nn.Sequential(nn.BatchNorm2d(1))
    network.register_forward_hook(lambda m, args, out: seen.append(args[0]))
    recalibrate(
        network, replace(data, train=data.train.take(rows)), batches=1, generator=torch.Generator().manual_seed(0)
    )
    quarters = F.avg_pool2d(torch.cat(seen), 4).flatten(1).argmax(1)
    assert torch.bincount(quarters, minlength=4).min() > 40


def test_an_average_is_of_weights_and_statistics_and_forgets_the_start() -> None:
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average, expected = WeightAverage(network, decay=0.999), None
    for n in range(1, 301):
        with torch.no_grad():
            network[0].weight.fill_(float(n))
            network[1].running_mean.fill_(float(-n))
        network[1].num_batches_tracked.fill_(n)
        average.update()
        decay = min(0.999, (1 + n) / (10 + n))
        expected = decay * (0.0 if expected is None else expected) + (1 - decay) * n
    average.put()
    assert 250 < network[0].weight.item() < 300
    assert network[0].weight.item() == pytest.approx(-network[1].running_mean.item(), rel=0.02)
    assert int(network[1].num_batches_tracked) == 300


def test_averaged_training_still_learns() -> None:
    assert run(network_of(), replace(RECIPE, epochs=8, ema=0.999, recalibrate=0)).accuracy > 0.8


def test_images_are_resized_and_weights_stay_in_place() -> None:
    network = network_of()
    sizes: set[int] = set()
    network.stem.register_forward_hook(lambda m, args, out: sizes.add(args[0].shape[-1]))
    run(network, replace(RECIPE, epochs=1), resolution=6)
    assert sizes == {6} and not network.training


@pytest.mark.parametrize("mixer", ["pix", "shuffle"])
def test_a_training_in_jobs_comes_to_the_weights_of_one_in_one_go(mixer: str) -> None:
    options = {"shuffle": {"shuffle": "dynamic", "groups": 2}}.get(mixer, {})
    recipe = replace(RECIPE, crop=2, mixup=0.2, ema=0.9, rungs=(1, 3))
    whole, *parts = (network_of(mixer, **options) for _ in range(4))
    expected = run(whole, recipe)
    state: dict[str, Tensor] = {}
    accuracies = []
    for network, until in zip(parts, recipe.stops, strict=True):
        kept: dict[str, Tensor] = {}

        def keep(epoch: Epoch, until: int = until, kept: dict[str, Tensor] = kept) -> None:
            if epoch.number == until:
                kept.update(epoch.state())

        part = train(network, data_of(), recipe, seed=0, resolution=8, start=state or None, until=until, on_epoch=keep)
        state = kept
        accuracies.append(part.accuracy)
        assert part.epochs == until
    assert accuracies[-1] == expected.accuracy
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), parts[-1].state_dict().values(), strict=True)
    )
