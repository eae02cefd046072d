"""Control a pendulum while learning how to: one step a tick.

A motor has to swing a pendulum along a wanted path. A feedback pulls it there, always late. Beside it a network, which
is told the wanted angle, speed and acceleration, learns which torque that takes: the pendulum's inverse. Nobody knows
the right torque, so there are no targets; but what the feedback still has to add says where the network's answer should
go, and `Trainer.step_from` goes there. This is feedback-error learning: Kawato, Furukawa and Suzuki (1987), A
hierarchical neural-network model for control and learning of voluntary movement.

What is seen: the angle is off by ten degrees with feedback alone, and by less and less while the network takes over.

    python examples/control.py [PICTURE.png]
"""

from __future__ import annotations

import sys

import numpy as np

from nineline import GradientDescent, Network, Trainer

TICK = 0.01  # seconds
GRAVITY, FRICTION = 9.81, 0.5  # of a pendulum of 1 kg on a rod of 1 m
STIFFNESS, DAMPING = 20.0, 5.0  # of the feedback
AMPLITUDES, SPEEDS = np.array([0.8, 0.6, 0.3]), np.array([1.1, 2.3, 4.1])  # of the waves that the path is the sum of


def follow(seconds: float, *, learning: bool = True) -> np.ndarray:
    """Follow the path and return what happened, a row a tick: time, wanted, angle, by the network, by the feedback."""
    time = np.arange(0, seconds, TICK)
    phases = time[:, None] * SPEEDS
    waves = np.sin(phases), SPEEDS * np.cos(phases), -(SPEEDS**2) * np.sin(phases)
    wanted = np.stack([wave @ AMPLITUDES for wave in waves], axis=1)  # angle, speed, acceleration

    network = Network(3, 16, 1, activation="tanh", output="identity", bias=True, rng=0)
    network.layers[-1].weights = np.zeros((16, 1))  # it begins by adding nothing
    trainer = Trainer(network, optimizer=GradientDescent(0.02))
    inputs = (wanted / [1, 2, 4]).reshape(-1, 1, 3)  # one row each; numbers around 1, as the answers: 1 is 10 N m

    angle, speed = wanted[0, :2]
    seen = np.empty((len(time), 5))
    for tick, x in enumerate(inputs):
        forward = 10 * network.run(x)[0, 0]
        back = STIFFNESS * (wanted[tick, 0] - angle) + DAMPING * (wanted[tick, 1] - speed)
        seen[tick] = time[tick], wanted[tick, 0], angle, forward, back
        if learning:
            trainer.step_from(x, np.array([[back / 10]]))
        speed += TICK * (forward + back - GRAVITY * np.sin(angle) - FRICTION * speed)
        angle += TICK * speed
    return seen


def off_by(seen: np.ndarray) -> float:
    """Return how far the angle is from the wanted one, root mean square, in degrees."""
    return float(np.degrees(np.sqrt(np.mean((seen[:, 2] - seen[:, 1]) ** 2))))


def draw(learned: np.ndarray, alone: np.ndarray, picture: str) -> None:
    """Draw the first and the last ten seconds side by side."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(10, 5), sharex="col", sharey="row", layout="constrained")
    for (above, below), some in zip(axes.T, (slice(1000), slice(-1000, None)), strict=True):
        time, wanted, angle, forward, back = learned[some].T
        above.plot(time, np.degrees(wanted), "0.7", linewidth=4, label="wanted")
        above.plot(time, np.degrees(alone[some, 2]), "C3--", linewidth=1, label="feedback alone")
        above.plot(time, np.degrees(angle), "C0", label="with the network")
        below.plot(time, back, "C3", label="by the feedback")
        below.plot(time, forward, "C0", label="by the network")
    axes[0, 0].set(title="the first ten seconds", ylabel="angle, degrees")
    axes[0, 1].set(title="the last ten")
    axes[1, 0].set(xlabel="seconds", ylabel="torque, N m")
    axes[0, 0].legend(loc="lower left", fontsize="small")
    axes[1, 0].legend(loc="lower left", fontsize="small")
    figure.savefig(picture, dpi=80)
    plt.close(figure)


def main(picture: str | None = None) -> None:
    alone, learned = follow(100, learning=False), follow(100)
    print(f"feedback alone: off by {off_by(alone):5.2f} degrees")
    for first, last in ((0, 10), (10, 20), (45, 55), (90, 100)):
        print(f"{first:>3} to {last:>3} s:   off by {off_by(learned[100 * first : 100 * last]):5.2f} degrees")
    if picture is not None:
        draw(learned, alone, picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
