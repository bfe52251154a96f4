"""The worker of `step.py` that runs a Jo-SRC training step in plain PyTorch.

It is written from the equations, in the ordinary style of a PyTorch training loop:
`log_softmax`, boolean masks, `optim.Adam`, and the mean teacher updated from Python
over the parameters. The arithmetic is that of `josrc_keras.JoSRC` in the joint phase
without the augmentation, since the two views are given.

It needs torch alone, so that a different interpreter can run it.

    torch_step.py STEPS BATCH [--lean]

With --lean it is a step of the recipe `lean`: one blended view for the student, one
view for the teacher, and targets between the label and the teacher's prediction. SGD
takes the place of Muon.
"""

import copy
import math
import sys

import torch
from pipe import serve
from torch import nn
from torch.nn import functional

NUM_CLASSES = 80


def convolution(inputs, outputs):
    """Convolution, batch normalisation, ReLU."""
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


def cnn7(num_classes):
    """The 7-layer network with the MLP head: `(N, 3, 32, 32)` to logits `(N, C)`."""
    return nn.Sequential(
        *convolution(3, 64),
        *convolution(64, 64),
        nn.MaxPool2d(2),
        *convolution(64, 128),
        *convolution(128, 128),
        nn.MaxPool2d(2),
        *convolution(128, 196),
        *convolution(196, 16),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 512, bias=False),
        nn.BatchNorm1d(512),
        nn.ReLU(),
        nn.Linear(512, num_classes),
    )


def smooth_labels(labels, num_classes, smoothing):
    """Eq. 5: integers `(N,)` to probabilities `(N, C)`."""
    elsewhere = smoothing / (num_classes - 1)
    one_hot = functional.one_hot(labels, num_classes).float()
    return one_hot * (1.0 - smoothing - elsewhere) + elsewhere


def kl_divergence(log_p, log_q):
    """KL(p || q) in bits, from natural logarithms `(N, C)`, to `(N,)`."""
    return (log_p.exp() * (log_p - log_q)).sum(dim=1) / math.log(2.0)


def js_divergence(log_p, log_q):
    """Eq. 2: Jensen-Shannon divergence in bits, `(N,)` in [0, 1]."""
    log_m = torch.logaddexp(log_p, log_q) - math.log(2.0)
    return 0.5 * (kl_divergence(log_p, log_m) + kl_divergence(log_q, log_m))


class Step:
    """Algorithm 1's joint phase. A call updates the student and the teacher."""

    def __init__(
        self,
        num_classes=NUM_CLASSES,
        *,
        smoothing=0.6,
        alpha=0.5,
        tau_clean=0.75,
        scale=10.0,
    ):
        self.num_classes = num_classes
        self.smoothing = smoothing
        self.alpha = alpha
        self.tau_clean = tau_clean
        self.scale = scale
        self.decay = 0.99
        self.student = cnn7(num_classes)
        self.teacher = copy.deepcopy(self.student)
        self.optimizer = torch.optim.Adam(self.student.parameters(), lr=1e-3)

    def __call__(self, view_a, view_b, labels):
        log_a = functional.log_softmax(self.student(view_a), dim=1)
        log_b = functional.log_softmax(self.student(view_b), dim=1)
        teacher = self.teacher_probs(view_a, view_b)
        targets, out_of_distribution = self.relabel(log_a, log_b, labels, teacher)

        classification = -(targets * (log_a + log_b)).sum(dim=1).mean()  # eq. 11
        sign = 1.0 - 2.0 * out_of_distribution.float()
        divergence = kl_divergence(log_a, log_b) + kl_divergence(log_b, log_a)
        consistency = (sign * divergence).mean()  # eq. 9
        loss = (1.0 - self.alpha) * classification + self.alpha * consistency  # eq. 10

        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.update_teacher()
        return loss.item()

    @torch.no_grad()
    def teacher_probs(self, view_a, view_b):
        probs_a = self.teacher(view_a).softmax(dim=1)
        probs_b = self.teacher(view_b).softmax(dim=1)
        return 0.5 * (probs_a + probs_b)

    @torch.no_grad()
    def relabel(self, log_a, log_b, labels, teacher):
        """Eq. 2 to 7: targets `(N, C)` and the out-of-distribution mask `(N,)`."""
        smooth = smooth_labels(labels, self.num_classes, self.smoothing)
        clean = 1.0 - js_divergence(log_a, smooth.log()) > self.tau_clean  # eq. 3
        disagree = log_a.argmax(dim=1) != log_b.argmax(dim=1)  # eq. 4
        out_of_distribution = ~clean & disagree
        in_distribution = ~clean & ~disagree

        targets = smooth.clone()
        targets[in_distribution] = teacher[in_distribution]  # eq. 6
        flat = (teacher[out_of_distribution] / self.scale).softmax(dim=1)
        targets[out_of_distribution] = flat  # eq. 7
        return targets, out_of_distribution

    @torch.no_grad()
    def update_teacher(self):
        """Eq. 8: moves the teacher towards the student."""
        for mean, value in zip(
            self.teacher.parameters(), self.student.parameters(), strict=True
        ):
            mean.mul_(self.decay).add_(value, alpha=1.0 - self.decay)


class LeanStep:
    """A step of the adaptive method with one view for each network."""

    def __init__(self, num_classes=NUM_CLASSES):
        self.student = cnn7(num_classes)
        self.teacher = copy.deepcopy(self.student)
        self.decay, self.num_classes = 0.997, num_classes
        self.optimizer = torch.optim.SGD(
            self.student.parameters(), lr=0.1, momentum=0.9, nesterov=True
        )

    def __call__(self, view_a, view_b, labels, trust):
        with torch.no_grad():
            teacher = self.teacher(view_a).softmax(dim=1)
            sharp = teacher.square()
            sharp = sharp / sharp.sum(dim=1, keepdim=True)
            weight = (1.0 - trust) * teacher.amax(dim=1)
            label = functional.one_hot(labels, self.num_classes).float()
            targets = trust[:, None] * label + weight[:, None] * sharp
            share = 1.0 - 0.25 * torch.rand(len(labels))
        blended = self.blend(view_b, share[:, None, None, None])
        logs = functional.log_softmax(self.student(blended), dim=1)
        loss = -(self.blend(targets, share[:, None]) * logs).sum(dim=1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            for mean, value in zip(
                self.teacher.parameters(), self.student.parameters(), strict=True
            ):
                mean.mul_(self.decay).add_(value, alpha=1.0 - self.decay)
        return loss.item()

    @staticmethod
    def blend(values, share):
        return share * values + (1.0 - share) * values.roll(-1, dims=0)


def random_batch(batch, num_classes, seed=0):
    """Two views `(N, 3, 32, 32)` and labels `(N,)` of random numbers."""
    generator = torch.Generator().manual_seed(seed)
    view_a = torch.randn(batch, 3, 32, 32, generator=generator)
    view_b = view_a + 0.1 * torch.randn(batch, 3, 32, 32, generator=generator)
    labels = torch.randint(num_classes, (batch,), generator=generator)
    return view_a, view_b, labels


def main():
    batch, lean = int(sys.argv[2]), "--lean" in sys.argv[3:]
    torch.manual_seed(0)
    step = LeanStep() if lean else Step()
    given = random_batch(batch, NUM_CLASSES)
    if lean:
        given = *given, torch.rand(batch)
    serve(lambda: step(*given), torch=torch.__version__)


if __name__ == "__main__":
    main()
