"""Balance a pole on a cart by trial and error: a policy gradient, with a slow copy of the critic to aim at.

Two networks learn. The actor says how likely a push to the right is. The critic says how long the pole will stay up
from here, and learns it from its own answer one tick later; that answer comes from a target network, a copy that
follows slowly (`Network.blend`), so that the aim does not run away. What went better than the critic expected is made
more likely: there are no right answers, only errors of the actor's output, by which `Trainer.step_from` moves it.

What is seen: an untrained cart drops its pole after some twenty ticks, a trained one holds it nearly to the end.

    python examples/policy.py [EPISODES]

The cart is that of Barto, Sutton and Anderson (1983), Neuronlike adaptive elements that can solve difficult learning
control problems; the gradient that of Williams (1992), Simple statistical gradient-following algorithms.
"""

from __future__ import annotations

import sys

import numpy as np

from nineline import Adam, Network, Trainer

DISCOUNT, LONGEST = 0.98, 200
SCALE = np.array([1.0, 1.0, 0.1, 1.0])  # position, speed, angle, its speed: all around 1 for the networks


def next_state(state: np.ndarray, push: float) -> np.ndarray:
    """Return where cart and pole are a fiftieth of a second later."""
    _, speed, angle, turning = state
    sine, cosine = np.sin(angle), np.cos(angle)
    thrust = (push + 0.05 * turning**2 * sine) / 1.1  # cart 1 kg, pole 0.1 kg, its middle half a metre up
    swing = (9.8 * sine - cosine * thrust) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    pull = thrust - 0.05 * swing * cosine / 1.1
    return state + 0.02 * np.array([speed, pull, turning, swing])


def has_fallen(state: np.ndarray) -> bool:
    return bool(abs(state[0]) > 2.4 or abs(state[2]) > 0.21)


def main(episodes: int = 200) -> list[int]:
    """Learn, print how it goes, and return how many ticks the pole stayed up in each episode."""
    rng = np.random.default_rng(0)
    actor, critic = (Network(4, 16, 1, activation="tanh", output="identity", bias=True, rng=i) for i in range(2))
    target = critic.copy()
    moves = Trainer(actor, optimizer=Adam(0.01))
    judges = Trainer(critic, loss="squared_error", optimizer=Adam(0.01))
    lengths = []
    for episode in range(episodes):
        states, pushes, chances = [rng.uniform(-0.05, 0.05, 4)], [], []
        while len(pushes) < LONGEST and not has_fallen(states[-1]):
            chances.append(1 / (1 + np.exp(-actor.run(states[-1] / SCALE)[0])))  # of a push to the right
            pushes.append(rng.random() < chances[-1])
            states.append(next_state(states[-1], 10.0 if pushes[-1] else -10.0))

        inputs, ticks = np.array(states) / SCALE, len(pushes)
        after = target.run(inputs[1:])
        after[-1] *= not has_fallen(states[-1])  # a pole that fell stays down
        wanted = 0.1 + DISCOUNT * after  # a tenth for each tick
        advantage = wanted - critic.run(inputs[:-1])
        moves.step_from(inputs[:-1], advantage * (np.array(pushes) - np.array(chances))[:, None] / ticks)
        judges.steps(inputs[:-1], wanted, batch_size=32)
        target.blend(critic, 0.2)
        lengths.append(ticks)
        if (episode + 1) % 50 == 0:
            mean = np.mean(lengths[-50:])
            print(f"episodes {episode - 48:>3} to {episode + 1:>3}: up for {mean:5.1f} of {LONGEST} ticks")
    return lengths


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
