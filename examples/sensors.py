"""A thousand sensors, a network each: what is odd for one is usual for another.

Every sensor has habits of its own: a day's curve, a level, a noise. A small network for each learns to say its next
reading from the eight before, all thousand of them in one call. Then some sensors change: one in fifty begins to lag
behind its day by two hours. What is seen: each network's error, against what was usual for its own sensor, tells which.
One network for all sensors, which knows nobody's habits, sees none of it.

    python examples/sensors.py [PICTURE.png]
"""

from __future__ import annotations

import sys

import numpy as np

from nineline import Adam, Network, Networks

BEFORE = 8  # readings that the next one is told from
A_DAY = 48  # readings
LAG = 4  # readings: two hours


def readings(sensors: int, days: int, rng: np.random.Generator, odd: np.ndarray | None = None) -> np.ndarray:
    """Return what sensors read, (sensors, days * A_DAY); where one is odd, it lags in the second half."""
    habits = np.random.default_rng(1)
    time = np.arange(days * A_DAY) * 2 * np.pi / A_DAY
    waves = habits.normal(size=(sensors, 4)) / np.array([1, 1.5, 2, 2.5])
    phases, noise = habits.uniform(0, 2 * np.pi, (sensors, 4)), habits.uniform(0.02, 0.1, (sensors, 1))
    level = habits.normal(size=(sensors, 1))
    late = np.zeros((sensors, len(time)))
    if odd is not None:
        late[odd, len(time) // 2 :] = LAG * 2 * np.pi / A_DAY
    at = (time - late)[:, :, None] * np.arange(1, 5)
    smooth = (waves[:, None] * np.sin(at + phases[:, None])).sum(axis=2)
    return level + smooth + noise * rng.normal(size=smooth.shape)


def windows(read: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the readings before each, with the time of the day as two numbers, and the readings themselves."""
    seen = np.lib.stride_tricks.sliding_window_view(read, BEFORE + 1, axis=1)
    day = np.arange(BEFORE, read.shape[1]) * 2 * np.pi / A_DAY
    clock = np.broadcast_to(np.stack([np.sin(day), np.cos(day)], axis=1), (*seen.shape[:2], 2))
    return np.concatenate([seen[:, :, :BEFORE], clock], axis=2), seen[:, :, BEFORE:]


def surprise(answers: np.ndarray, truth: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return the error of each sensor's last half, in units of what is usual for it."""
    errors = np.sqrt(((answers - truth) ** 2).mean(axis=2))
    half = errors.shape[1] // 2
    return errors[:, half:].mean(axis=1) / usual


def main(picture: str | None = None, sensors: int = 1000) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    odd = np.arange(sensors) % 50 == 7
    x, y = windows(readings(sensors, 6, rng))
    new_x, new_y = windows(readings(sensors, 6, rng, odd))

    networks = Networks(sensors, BEFORE + 2, 8, 1, activation="tanh", output="identity", bias=True, rng=0)
    settings = {"epochs": 60, "loss": "squared_error", "optimizer": Adam(0.01)}
    history = networks.train(x, y, batch_size=40, **settings)
    usual = np.sqrt(((networks.run(x) - y) ** 2).mean(axis=(1, 2)))
    own = surprise(networks.run(new_x), new_y, usual)

    one = Network(BEFORE + 2, 32, 1, activation="tanh", output="identity", bias=True, rng=0)
    some = rng.choice(sensors * x.shape[1], 20_000)
    one.train(x.reshape(-1, BEFORE + 2)[some], y.reshape(-1, 1)[some], batch_size=256, **settings)
    flat = [np.stack([one.run(each) for each in rows]) for rows in (x, new_x)]
    for_all = surprise(flat[1], new_y, np.sqrt(((flat[0] - y) ** 2).mean(axis=(1, 2))))

    found = []
    for name, score in (("a network each", own), ("one for all", for_all)):
        worst = np.argsort(score)[-odd.sum() :]
        found.append(float(odd[worst].mean()))
        print(
            f"{name:<15} {odd[worst].sum():>3} of the {odd.sum()} sensors that changed are among its {odd.sum()} oddest"
        )
    print(f"{sensors:,} networks, {int(history.steps.sum()):,} steps, {history.seconds[-1]:.1f} s")
    if picture is not None:
        draw(own, for_all, odd, picture)
    return found[0], found[1]


def draw(own: np.ndarray, for_all: np.ndarray, odd: np.ndarray, picture: str) -> None:
    """Draw how odd every sensor looks to its own network, and to the one for all."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for each, score, title in zip(axes, (own, for_all), ("a network each", "one network for all"), strict=True):
        bins = np.linspace(0.8, max(own.max(), for_all.max()), 60)
        each.hist(
            [score[~odd], score[odd]], bins, stacked=True, color=["#666666", "#D55E00"], label=["as ever", "changed"]
        )
        each.set(title=title, xlabel="error, in units of what was usual for the sensor", yscale="log")
        each.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("sensors")
    axes[1].legend(loc="upper right", frameon=False)
    figure.savefig(picture, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
