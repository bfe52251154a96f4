"""DivideMix in plain PyTorch, as a check of `josrc_keras`'s.

    torch_dividemix.py DATA.npz SETTINGS.json OUTPUT.json

It is written from the paper (Li, Socher and Hoi, ICLR 2020, algorithm 1), in the form
that the authors describe: the networks are trained in turns, on batches of as many
labelled as unlabelled images, and an epoch is a pass over the labelled ones. The
network, the optimizer, the learning rate and the views are those of the suite's row.
`dividemix.py` makes the data and the settings, and compares. It needs torch,
scikit-learn and NumPy.
"""

import json
import sys

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import nn
from torch.nn import functional

MEAN = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
DEVIATION = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)


def cnn7(classes, width):
    """The 7-layer network with the MLP head, narrower, as `networks.cnn7` has it."""
    filters = [max(1, round(width * n)) for n in (64, 64, 128, 128, 196)] + [16]
    layers, inputs = [], 3
    for number, outputs in enumerate(filters, 1):
        layers += [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
        if number % 2 == 0:
            layers.append(nn.MaxPool2d(2))
        inputs = outputs
    hidden, logits = nn.Linear(256, 512, bias=False), nn.Linear(512, classes)
    for dense in (hidden, logits):
        nn.init.kaiming_normal_(dense.weight)
    nn.init.zeros_(logits.bias)
    head = [nn.Flatten(), hidden, nn.BatchNorm1d(512), nn.ReLU(), logits]
    return nn.Sequential(*layers, *head)


def pixels(images):
    """`(N, 32, 32, 3)` bytes to normalised `(N, 3, 32, 32)`."""
    images = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return (images - MEAN) / DEVIATION


def view(images, random):
    """Each image cropped after a padding of 4 with black, and flipped or not."""
    black = (-MEAN / DEVIATION).expand(3, 40, 40)
    padded = black.repeat(len(images), 1, 1, 1)
    padded[:, :, 4:36, 4:36] = images
    rows, columns = random.integers(0, 9, (2, len(images)))
    crops = [
        image[:, row : row + 32, column : column + 32]
        for image, row, column in zip(padded, rows, columns, strict=True)
    ]
    flips = random.random(len(images)) < 0.5
    return torch.stack(
        [
            crop.flip(2) if flip else crop
            for crop, flip in zip(crops, flips, strict=True)
        ]
    )


class Training:
    """Two networks, their optimizers, and the data."""

    def __init__(self, data, settings):
        self.settings = settings
        self.random = np.random.default_rng(settings["seed"])
        torch.manual_seed(settings["seed"])
        self.images, self.labels = pixels(data["images"]), data["labels"]
        self.test, self.truth = pixels(data["test_images"]), data["test_labels"]
        self.classes = settings["classes"]
        self.networks = [cnn7(self.classes, settings["width"]) for _ in range(2)]
        self.optimizers = [
            torch.optim.Adam(n.parameters(), lr=settings["learning_rate"])
            for n in self.networks
        ]

    def run(self):
        """Trains, and returns the test accuracy after each epoch."""
        accuracies, settings = [], self.settings
        for epoch in range(settings["epochs"]):
            self.set_rate(epoch)
            if epoch < settings["warmup_epochs"]:
                for number in (0, 1):
                    self.warm_up(number)
            else:
                clean = [self.clean_probability(number) for number in (0, 1)]
                for number in (0, 1):
                    self.train(number, clean[1 - number], epoch)
            accuracies.append(self.accuracy())
            print(f"epoch {epoch + 1}: {accuracies[-1]:.3f}", flush=True)
        return accuracies

    def set_rate(self, epoch):
        """The paper's Adam: its rate falls linearly to zero, and its beta_1 to 0.1."""
        settings = self.settings
        start, rate = settings["decay_start"], settings["learning_rate"]
        late = epoch >= start
        left = (settings["epochs"] - epoch) / (settings["epochs"] - start)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * min(left, 1.0)
                group["betas"] = (settings["beta_1"] if late else 0.9, 0.999)

    def batches(self, rows, size):
        rows = self.random.permutation(rows)
        return [rows[at : at + size] for at in range(0, len(rows), size)]

    def step(self, number, loss):
        self.optimizers[number].zero_grad()
        loss.backward()
        self.optimizers[number].step()

    def warm_up(self, number):
        network = self.networks[number].train()
        size = self.settings["batch_size"]
        for rows in self.batches(np.arange(len(self.labels)), size):
            logits = network(view(self.images[rows], self.random))
            labels = torch.from_numpy(self.labels[rows]).long()
            self.step(number, functional.cross_entropy(logits, labels))

    @torch.no_grad()
    def clean_probability(self, number):
        """A Gaussian mixture of the scaled losses, as in the paper's section 3.1."""
        network = self.networks[number].eval()
        labels = torch.from_numpy(self.labels).long()
        losses = torch.cat(
            [
                functional.cross_entropy(network(x), y, reduction="none")
                for x, y in zip(self.images.split(500), labels.split(500), strict=True)
            ]
        ).numpy()
        losses = (losses - losses.min()) / (losses.max() - losses.min())
        mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4)
        mixture.fit(losses[:, None])
        found = mixture.predict_proba(losses[:, None])
        return found[:, mixture.means_.argmin()]

    def train(self, number, clean, epoch):
        """One network for one epoch, with the other one fixed."""
        settings, size = self.settings, self.settings["batch_size"] // 2
        labelled = np.flatnonzero(clean > settings["threshold"])
        others = np.flatnonzero(clean <= settings["threshold"])
        if not len(labelled) or not len(others):
            return self.warm_up(number)
        unlabelled = []
        for step, rows in enumerate(self.batches(labelled, size)):
            if not unlabelled:
                unlabelled = self.batches(others, size)
            if len(rows) == 1:
                continue  # Batch normalisation can't learn from a single image.
            at = epoch - settings["warmup_epochs"] + step / -(-len(labelled) // size)
            weight = min(max(at / settings["ramp_epochs"], 0), 1)
            weight *= settings["unlabelled_weight"]
            self.mixmatch(number, rows, unlabelled.pop(), clean, weight)
        return None

    def mixmatch(self, number, rows, others, clean, weight):
        """A step of algorithm 1, lines 12 to 27."""
        own, peer = self.networks[number], self.networks[1 - number]
        x, u = self.images[rows], self.images[others]
        views = [view(x, self.random) for _ in range(2)]
        other_views = [view(u, self.random) for _ in range(2)]
        with torch.no_grad():
            own.eval(), peer.eval()
            guessed = sum(
                network(each).softmax(1)
                for network in (own, peer)
                for each in other_views
            )
            refined = sum(own(each).softmax(1) for each in views) / 2
            share = torch.from_numpy(clean[rows]).float()[:, None]
            given = functional.one_hot(
                torch.from_numpy(self.labels[rows]).long(), self.classes
            )
            refined = self.sharpened(share * given + (1 - share) * refined)
            guessed = self.sharpened(guessed / 4)
        own.train()
        inputs = torch.cat([*views, *other_views])
        targets = torch.cat([refined, refined, guessed, guessed])
        kept = self.random.beta(4, 4)
        kept = max(kept, 1 - kept)
        partner = torch.from_numpy(self.random.permutation(len(inputs)))
        logits = own(kept * inputs + (1 - kept) * inputs[partner])
        targets = kept * targets + (1 - kept) * targets[partner]
        count, probs = 2 * len(rows), logits.softmax(1)
        loss = -(targets * logits.log_softmax(1))[:count].sum(1).mean()
        loss = loss + weight * ((probs - targets)[count:] ** 2).mean()
        mean = probs.mean(0)
        prior = torch.full_like(mean, 1 / self.classes)
        self.step(number, loss + (prior * (prior / mean).log()).sum())

    def sharpened(self, probs):
        powers = probs ** (1 / self.settings["temperature"])
        return powers / powers.sum(1, keepdim=True)

    @torch.no_grad()
    def accuracy(self):
        """Of the sum of both networks' logits, on the test images."""
        for network in self.networks:
            network.eval()
        found = [
            sum(network(x) for network in self.networks).argmax(1)
            for x in self.test.split(500)
        ]
        return float((torch.cat(found).numpy() == self.truth).mean())


def main():
    data, settings, output = sys.argv[1:]
    with open(settings) as file:
        settings = json.load(file)
    accuracies = Training(np.load(data), settings).run()
    with open(output, "w") as file:
        json.dump({"torch": torch.__version__, "accuracies": accuracies}, file)


if __name__ == "__main__":
    main()
