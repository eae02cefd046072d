"""Several processes on sources: each reads its share in windows, and the steps are those of one on all rows."""

from __future__ import annotations

import numpy as np
import pytest

from nineline import Adam, ArraySource, GradientDescent, IteratorSource, Layer, Network
from nineline.losses import SquaredError
from nineline.parallel import ParallelError
from nineline.sources import Source
from nineline.training.shared.share import SharedOrder, places

draws = np.random.default_rng(0)
ROWS = 120
X = draws.normal(size=(ROWS, 3))
Y = np.tanh(X @ [[1.0], [-2.0], [0.5]])
WEIGHTS = draws.uniform(0.5, 2, ROWS)
WINDOW = 900  # bytes of memory: a window holds a quarter of it, some seven rows

BATCHES = {"epochs": 3, "batch_size": 12, "loss": "squared_error"}
CASES = {
    "gradient descent": {**BATCHES, "optimizer": GradientDescent(0.1)},
    "adam, penalties, clipped": {**BATCHES, "optimizer": Adam(0.01), "l1": 1e-3, "l2": 1e-2, "clip_norm": 0.1},
    "a sum": {**BATCHES, "loss": SquaredError(reduction="sum"), "optimizer": GradientDescent(0.01), "l2": 1e-2},
    "the whole batch": {"iterations": 10, "loss": "huber", "optimizer": GradientDescent(0.1), "report_every": 0},
    "lbfgs": {"epochs": 6, "loss": "squared_error", "optimizer": "lbfgs", "l2": 1e-3},
}


class Own(Source):
    """The rows of one process, in pieces of a few."""

    def __init__(self, which, streams=1, weighted=False, memory=WINDOW):
        super().__init__(memory)
        self.which, self.streams, self.weighted = np.array_split(which, streams), streams, weighted
        self.rows = len(which)

    def open(self, stream):
        which = self.which[stream]
        for some in np.array_split(which, max(len(which) // 4, 1)):
            yield (X[some], Y[some], WEIGHTS[some]) if self.weighted else (X[some], Y[some])

    def fingerprint(self):
        return f"{self.which}"


class Uncounted(Own):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.rows = None


class Wrong(Own):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.rows += 1


def small(rng=0):
    return Network(3, 4, 1, activation="tanh", output="identity", bias=True, rng=rng)


def dropping(rng=0):
    from nineline import Dropout

    return Network(Layer(3, 8, "tanh", bias=True), Dropout(0.2), Layer(8, 1, "identity", bias=True), rng=rng)


def mine(rank, counts):
    return np.flatnonzero(np.isin(np.arange(sum(counts)), places(counts, rank)))


def train_on(source, collective, how, make=small, **more):
    network = make(collective.rank)
    options = {"rng": 3 + collective.rank, **how, **more}
    return network, network.train(source, parallel=collective, **options)


def agree(found):
    for network, history in found:
        assert network.parameters.tobytes() == found[0][0].parameters.tobytes()
        assert vars(history) == vars(found[0][1])
    return found[0]


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("counts", [[60, 60], [40, 40, 40], [120], [70, 40, 10], [0, 119, 1], [60, 0, 60]])
@pytest.mark.parametrize("case", CASES)
def test_processes_take_the_steps_of_one_on_their_own_sources(case, counts, weighted, together):
    one = small()
    weights = WEIGHTS if weighted else None
    truth = one.train(X, Y, rng=3, shuffle=False, sample_weight=weights, validation=(X, Y), **CASES[case])

    def train(each):
        kind = Uncounted if each.rank == 1 else Own
        source = kind(mine(each.rank, counts), streams=1 + each.rank % 2, weighted=weighted)
        judged = Own(mine(each.rank, counts))
        return train_on(source, each, CASES[case], shuffle=False, validation=judged)

    network, history = agree(together(len(counts), train))
    np.testing.assert_allclose(network.parameters, one.parameters, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(history.loss, truth.loss, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(history.validation_loss, truth.validation_loss, rtol=1e-9, atol=1e-12)
    assert (history.steps, history.stopped) == (truth.steps, truth.stopped)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_of_one_source_each_process_reads_its_share(case, size, together):
    """One of few streams, of which each takes rows in turn, so that batches hold the rows of one process alone."""
    one = small()
    one.train(X, Y, rng=3, shuffle=False, validation=(X, Y), **CASES[case])
    source = ArraySource(X, Y, memory="1MB")
    network, _ = agree(
        together(size, lambda each: train_on(source, each, CASES[case], shuffle=False, validation=source))
    )
    np.testing.assert_allclose(network.parameters, one.parameters, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("size", "streams"), [(2, 8), (2, 9), (3, 120), (2, 7)])
def test_every_row_is_read_once_an_epoch_by_one_process(size, streams, together):
    read = [[] for _ in range(size)]

    class Seen(Own):
        def open(self, stream):
            read[self.rank].append(stream)
            yield from super().open(stream)

    def train(each):
        source = Seen(np.arange(ROWS), streams)
        source.rank = each.rank
        return train_on(source, each, {**CASES["gradient descent"], "epochs": 1})

    _, history = agree(together(size, train))
    assert history.steps == 10
    if streams >= 4 * size:
        assert sorted(set(read[0]) | set(read[1])) == sorted(
            set(range(0, streams, size)) | set(range(1, streams, size))
        )
        assert not set(read[0]) & set(read[1])
    else:
        assert set(read[0]) == set(read[1]) == set(range(streams))


@pytest.mark.parametrize("local_steps", [1, 4])
def test_twice_to_the_same_bits_and_not_in_the_order_of_the_rows(local_steps, together):
    counts = [70, 50]
    how = {**CASES["adam, penalties, clipped"], "local_steps": local_steps}

    def train(**more):
        return agree(together(2, lambda each: train_on(Own(mine(each.rank, counts), 9), each, how, dropping, **more)))

    network, history = train()
    again, _ = train()
    assert again.parameters.tobytes() == network.parameters.tobytes()
    assert history.steps == 30
    assert train(shuffle=False)[0].parameters.tobytes() != network.parameters.tobytes()


def test_steps_alone_on_a_source_are_those_on_rows(together):
    how = {**BATCHES, "optimizer": "adam", "local_steps": 3, "shuffle": False}
    counts = [70, 50]
    sourced, _ = agree(together(2, lambda each: train_on(Own(mine(each.rank, counts)), each, how)))

    def on_rows(each):
        network, which = small(each.rank), mine(each.rank, counts)
        return network, network.train(X[which], Y[which], rng=3 + each.rank, parallel=each, **how)

    rows, _ = agree(together(2, on_rows))
    np.testing.assert_allclose(sourced.parameters, rows.parameters, rtol=1e-12)


def test_batches_are_cut_alike_however_windows_end():
    order = SharedOrder([70, 40, 10], 0, None)
    size, batches = order.cut(12)
    for together in (1, 3):
        for window in (1, 5, 30, 70):
            cut, begin, waiting, found = order.cut_windows(together), 0, 0, []
            while begin < 70:
                begin, waiting = min(begin + window, 70), waiting + min(window, 70 - begin)
                taken, some = cut.take(np.arange(waiting), last=begin == 70)
                assert len(some) % (size * together) == 0 or begin == 70
                waiting -= taken
                found.append((some >= 0).reshape(-1, size).sum(axis=1))
            assert waiting == 0
            assert len(np.concatenate(found)) == batches
            assert np.concatenate(found).tolist() == np.diff(order._cuts).tolist()


class CutOffError(Exception):
    pass


@pytest.mark.parametrize(("after", "local_steps"), [(1, 1), (2, 1), (9, 1), (25, 1), (3, 2)])
def test_cut_off_it_ends_with_the_same_bits(after, local_steps, tmp_path, monkeypatch, together, outcomes):
    from nineline.training.checkpoints import Checkpoint

    how = {**BATCHES, "optimizer": "adam", "stop": 3, "local_steps": local_steps}

    def train(each, **more):
        source = Own(mine(each.rank, [70, 50]), 9)
        return train_on(source, each, how, dropping, validation=ArraySource(X[:50], Y[:50]), **more)

    truth, expected = agree(together(2, train))
    path = tmp_path / "run.nineline"
    written, write = [], Checkpoint.write

    def counting(self, network, snapshot):
        write(self, network, snapshot)
        written.append(snapshot)
        if len(written) == after:
            raise CutOffError

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", counting)
        patch.setattr("nineline.training.trainer.CALL_SECONDS", 0.0)
        first, other = outcomes(2, lambda each: train(each, checkpoint=path, checkpoint_every=0))
    assert isinstance(first, CutOffError)
    assert isinstance(other, ParallelError)
    network, history = together(2, lambda each: train(each, checkpoint=path, resume=True))[0]
    assert network.parameters.tobytes() == truth.parameters.tobytes()
    assert history.loss == expected.loss
    assert history.validation_loss == expected.validation_loss


def test_another_number_of_processes_goes_on(tmp_path, together, outcomes):
    """With the rows of the same source, in batches that hold the same rows."""
    how, source, path = CASES["adam, penalties, clipped"], ArraySource(X, Y), tmp_path / "run.nineline"
    one = small()
    one.train(X, Y, rng=3, shuffle=False, **how)

    def leave(epoch):
        if epoch.number == 2:
            raise CutOffError

    keeping = {"shuffle": False, "checkpoint": path, "checkpoint_every": 0}
    found = outcomes(2, lambda each: train_on(source, each, how, on_epoch=leave, **keeping))
    assert any(isinstance(each, CutOffError) for each in found)
    network, _ = agree(together(3, lambda each: train_on(source, each, how, resume=True, **keeping)))
    np.testing.assert_allclose(network.parameters, one.parameters, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda rank: IteratorSource(lambda: [(X, Y)]), "IteratorSource without a name, on 2 processes"),
        (lambda rank: Own(np.arange(0)), "inputs has no rows that count, on any of 2 processes"),
        (lambda rank: Wrong(mine(rank, [60, 60])), "the source yielded 60 rows, and says that it has 61"),
    ],
)
def test_what_cannot_be_shared(give, message, outcomes, capsys):
    found = outcomes(2, lambda each: train_on(give(each.rank), each, CASES["gradient descent"]))
    assert all(isinstance(each, (ValueError, ParallelError)) for each in found)
    assert message in str(found[0])


def test_sources_on_one_process_and_rows_on_another_are_refused(outcomes):
    def train(each):
        network = small()
        if each.rank:
            return network.train(X, Y, parallel=each, **CASES["gradient descent"])
        return network.train(Own(np.arange(ROWS)), parallel=each, **CASES["gradient descent"])

    said = [str(each) for each in outcomes(2, train)]
    assert all("inputs is rows on process 1 and a source on process 0" in each for each in said)


def test_a_piece_that_is_wrong_is_told_to_all(outcomes):
    class Broken(Uncounted):
        def open(self, stream):
            yield from super().open(stream)
            yield X[:2, :2], Y[:2]

    def train(each):
        return train_on((Broken if each.rank else Own)(mine(each.rank, [60, 60])), each, CASES["gradient descent"])

    first, second = outcomes(2, train)
    assert isinstance(second, ValueError)
    assert isinstance(first, ParallelError)
    assert "process 1 of 2 cannot count its rows: ValueError: piece 15 of stream 0: inputs has 2 columns" in str(first)
