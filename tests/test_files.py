"""Files: every bit comes back, every damage is found, and a failed write leaves what was there."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import stat
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from nineline import Activation, Dropout, Layer, Network, files, writing
from nineline.activations import ACTIVATIONS, Elu, LeakyRelu
from nineline.estimators import TabularClassifier
from nineline.files import FileError, container, read_header
from nineline.writing import check_writable

X = np.random.default_rng(0).normal(size=(5, 3))


class Own(Activation):
    def value(self, z):
        return z

    def derivative(self, z, outputs):
        return np.ones_like(z)


def make(activation="tanh", dtype="float64"):
    return Network(
        Layer(3, 4, activation, bias=True, learning_rate=0.25), Dropout(0.3), Layer(4, 2, "sigmoid"), rng=5, dtype=dtype
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.nineline"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a small network's file."""
    path = tmp_path_factory.mktemp("whole") / "small.nineline"
    Network(2, 1, rng=0).save(path)
    return path.read_bytes()


def names_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def assert_refused(path, data, words=()):
    path.write_bytes(data)
    with pytest.raises(FileError) as caught:
        Network.load(path)
    assert str(path) in str(caught.value)
    for each in words:
        assert each in str(caught.value)


# There and back


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", [*sorted(ACTIVATIONS), LeakyRelu(0.3), Elu(1 / 3)], ids=str)
def test_what_is_loaded_is_what_was_saved_to_the_last_bit(activation, dtype, path):
    network = make(activation, dtype)
    numbers = np.finfo(dtype)
    network.parameters[:6] = [-0.0, numbers.max, -numbers.max, numbers.tiny, numbers.smallest_subnormal, 1 / 3]
    network.save(path)
    loaded = Network.load(path)
    assert loaded.parameters.tobytes() == network.parameters.tobytes()
    assert repr(loaded) == repr(network)
    assert loaded.blocks == network.blocks
    assert loaded.dtype == dtype
    assert [getattr(layer, "learning_rate", None) for layer in loaded.layers] == [0.25, 1.0, 1.0]
    assert loaded.layers[1].rate == 0.3
    assert loaded.layers[0].activation == network.layers[0].activation


def test_a_loaded_network_runs_and_trains_as_the_saved_one(path):
    network = make()
    network.save(path)
    loaded = Network.load(str(path))
    np.testing.assert_array_equal(loaded.run(X), network.run(X))
    targets = np.full((5, 2), 0.5)
    how = {"epochs": 3, "batch_size": 2, "rng": 1}
    network.train(X, targets, **how)
    loaded.train(X, targets, **how)
    np.testing.assert_array_equal(loaded.parameters, network.parameters)
    np.testing.assert_array_equal(loaded.layers[0].weights, loaded.parameters[:12].reshape(3, 4))


def test_a_file_is_safetensors_that_others_can_read(path):
    network = make()
    network.save(path)
    arrays = load_safetensors(path.read_bytes())
    assert sorted(arrays) == ["0.bias", "0.weights", "2.weights"]
    np.testing.assert_array_equal(arrays["0.weights"], network.layers[0].weights)


def test_saving_again_replaces_the_file(path):
    Network(3, 1, rng=0).save(path)
    make().save(path)
    assert repr(Network.load(path)) == repr(make())
    assert names_in(path.parent) == [path.name]


def test_saving_changes_nothing_in_the_network(path):
    network = make()
    before = network.parameters.copy()
    network.save(path)
    np.testing.assert_array_equal(network.parameters, before)


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_file_has_the_permissions_that_open_would_give_it(path, mask):
    before = os.umask(mask)
    try:
        make().save(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("n" * (255 - len(".nineline")) + ".nineline")
    make().save(path)
    check_writable(path)
    assert Network.load(path).n_inputs == 3


# Texts of any length and alphabet

CHARACTERS = st.characters() | st.sampled_from('\0\x1f"\\/\u2028\ufeff\ud83d\ude00中😀')
LONELY = st.characters(exclude_categories=["Cs"]) | st.sampled_from('\0\x1f"\\/\u2028\ufeff\ude00中😀')
TRIES = settings(max_examples=60, deadline=None, database=None, derandomize=True)


@TRIES
@example(["\ud83d\ude00"])
@given(st.lists(st.text(CHARACTERS) | st.text(CHARACTERS, min_size=5, max_size=9).map(lambda text: text * 5000)))
def test_any_text_is_read_as_it_was_written_or_is_not_written(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("texts") / "m"
    content = {"texts": texts, **dict.fromkeys(texts, 1)}
    try:
        files.write(path, "texts", content, {})
    except ValueError as error:
        assert "two halves of a character" in str(error)  # noqa: PT017
        assert any(re.search("[\ud800-\udbff][\udc00-\udfff]", text) for text in texts)
        assert not path.exists()
        return
    header, _ = files.read(path, "texts")
    assert header | content == header
    assert read_header(path) == header


@TRIES
@given(
    names=st.lists(st.text(LONELY, max_size=20), min_size=2, max_size=2, unique=True),
    levels=st.lists(st.text(LONELY, max_size=20), min_size=2, max_size=6),
    classes=st.lists(st.text(LONELY, max_size=90), min_size=2, max_size=3, unique=True),
)
def test_a_model_of_a_table_of_any_texts_is_read_as_it_was_saved(tmp_path_factory, names, levels, classes):
    path = tmp_path_factory.mktemp("texts") / "m"
    rows = np.arange(60)
    table = pd.DataFrame(
        {names[0]: pd.Series([levels[i % len(levels)] for i in rows], dtype=object), names[1]: np.sin(rows)}
    )
    y = np.array([classes[i % 7 % len(classes)] for i in rows], dtype=object)
    model = TabularClassifier((2,), n_members=1, max_epochs=1, random_state=0).fit(table, y)
    model.save(path)
    same = TabularClassifier.load(path)
    assert same.columns_ == model.columns_
    assert same.names_ == model.names_
    assert same.classes_.tolist() == model.classes_.tolist()
    np.testing.assert_array_equal(same.predict_proba(table), model.predict_proba(table))


@pytest.mark.parametrize("character", ["中", "\0", "x"])
def test_a_table_of_long_texts_is_read_again(character, path):
    levels = [f"{i}{character * 2000}{i}" for i in range(100)]
    table = pd.DataFrame({f"column {j}": [levels[(i + j) * 7 % 100] for i in range(1000)] for j in range(14)})
    model = TabularClassifier((2,), n_members=1, max_epochs=1, random_state=0).fit(table, np.arange(1000) % 2)
    model.save(path)
    assert TabularClassifier.load(path).columns_ == model.columns_


def test_what_a_file_cannot_hold_is_said_before_training(path, monkeypatch):
    monkeypatch.setattr(container, "_HEADER_AT_MOST", container._ARRAYS_IN_HEADER + 50_000)
    model = TabularClassifier((2,), n_members=1, max_epochs=1, random_state=0)
    for table, y in (
        ({"a": ["x" * 60_000, "y"] * 20}, ["no", "yes"] * 20),
        ({"a" * 60_000: ["x", "y"] * 20}, ["no", "yes"] * 20),
        ({"a": ["x", "y"] * 20}, ["n" * 60_000, "yes"] * 20),
    ):
        with monkeypatch.context() as inside:
            inside.setattr("nineline.estimators.tabular.choosing.train_members", None)
            with pytest.raises(ValueError, match="what describes the model takes .* names of columns, levels"):
                model.fit(pd.DataFrame(table), y)
    with pytest.raises(ValueError, match="what describes the model takes"):
        files.write(path, "texts", {"a": "x" * container._HEADER_AT_MOST}, {})
    with pytest.raises(ValueError, match="a number has 41 digits"):
        files.write(path, "texts", {"a": 10**40}, {})
    assert not path.exists()


@pytest.mark.parametrize(
    ("settings", "y", "error", "message"),
    [
        ({"n_members": 1001}, np.arange(60) % 2, ValueError, "n_members is 1,001; expected 1,000 at most"),
        ({}, (np.arange(60) % 2).astype(np.longdouble), TypeError, "expected text, whole numbers or booleans"),
    ],
)
def test_what_would_not_be_read_again_is_not_trained(settings, y, error, message):
    if y.dtype == np.float64:
        pytest.skip("longdouble is double here")
    with pytest.raises(error, match=message):
        TabularClassifier(**settings).fit(np.arange(60.0).reshape(-1, 1) % 7, y)


# All of it or nothing


def fail(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupt(*_, **__):
    raise KeyboardInterrupt


SABOTAGE = {
    "sync fails": (writing.os, "fsync", fail, OSError),
    "rename fails": (Path, "replace", fail, OSError),
    "Ctrl-C while syncing": (writing.os, "fsync", interrupt, KeyboardInterrupt),
    "no file can be made": (writing.os, "open", fail, OSError),
}


@pytest.mark.parametrize("existing", [True, False], ids=["over an old file", "where there was none"])
@pytest.mark.parametrize("how", SABOTAGE)
def test_a_failed_write_leaves_what_was_there_and_nothing_else(how, existing, path, monkeypatch):
    if existing:
        Network(2, 1, rng=0).save(path)
    before = {entry.name: entry.read_bytes() for entry in path.parent.iterdir()}
    owner, name, replacement, error = SABOTAGE[how]
    monkeypatch.setattr(owner, name, replacement)
    with pytest.raises(error):
        make().save(path)
    monkeypatch.undo()
    assert {entry.name: entry.read_bytes() for entry in path.parent.iterdir()} == before


@pytest.mark.skipif(os.name != "posix", reason="only there is the folder synced")
def test_a_folder_that_cannot_be_synced_is_no_failed_save(path, monkeypatch):
    """Some network file systems refuse to sync a folder; the new file is in place by then."""
    sync = os.fsync

    def refuse_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(handle)

    Network(2, 1, rng=0).save(path)
    before = path.read_bytes()
    monkeypatch.setattr(writing.os, "fsync", refuse_folders)
    try:
        make().save(path)
    except OSError:
        assert path.read_bytes() == before  # "what lay there before is untouched"
    else:
        assert Network.load(path).n_outputs == 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda network: vars(network.layers[0]).update(_activation=Own()), "is your own, and a file holds no code"),
        (lambda network: network.parameters.__setitem__(3, np.nan), "nan"),
        (lambda network: network.parameters.__setitem__(3, np.inf), "inf"),
    ],
    ids=["own activation", "nan", "inf"],
)
def test_what_could_not_be_loaded_again_is_not_saved(spoil, message, path):
    network = make()
    spoil(network)
    path.write_bytes(b"an old file")
    with pytest.raises(ValueError, match=message):
        network.save(path)
    assert path.read_bytes() == b"an old file"
    assert names_in(path.parent) == [path.name]


def test_a_parameter_that_is_a_numpy_number_can_be_saved(path):
    make(LeakyRelu(np.float32(0.25))).save(path)
    assert Network.load(path).layers[0].activation == LeakyRelu(0.25)


# Damage


def test_a_file_cut_off_anywhere_is_refused(whole, path):
    for length in range(len(whole)):
        assert_refused(path, whole[:length])


@pytest.mark.parametrize("bits", [0x01, 0x02, 0x20, 0x80, 0xFF], ids=hex)
def test_a_file_with_any_byte_changed_is_refused(whole, path, bits):
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= bits
        assert_refused(path, altered)


@pytest.mark.parametrize(
    "alter",
    [
        lambda data: data + b"\0",
        lambda data: data + data,
        lambda data: b"\0" + data,
        lambda data: data[:-8] + data[-4:] + data[-8:-4],
        lambda data: data[:8] + b" " + data[8:],
    ],
    ids=["one byte more", "twice", "one byte before", "bytes exchanged", "a blank more"],
)
def test_a_file_altered_otherwise_is_refused(alter, whole, path):
    assert_refused(path, alter(whole))


def test_damage_says_what_to_do(whole, path):
    assert_refused(path, whole[:-1] + bytes([whole[-1] ^ 1]), ["altered or damaged", "take a whole copy"])
    assert_refused(path, whole[:5], ["is no nineline file, or is cut off (5 bytes)"])


# Files of another kind


def metadata(text):
    return save_safetensors({"0.weights": np.zeros((2, 1))}, metadata={"nineline": text})


FOREIGN = {
    "empty": b"",
    "random": np.random.default_rng(1).bytes(3000),
    "zeros": bytes(1000),
    "text": b"age,income\n39,50K\n" * 50,
    "pickle": pickle.dumps({"weights": np.zeros(100)}),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "somebody's safetensors": save_safetensors({"layer.weight": np.zeros((3, 3), np.float32)}, {"format": "pt"}),
    "safetensors without metadata": save_safetensors({"layer.weight": np.zeros((3, 3), np.float32)}),
    "safetensors without arrays": save_safetensors({}),
    "a header that is a list": (2).to_bytes(8, "little") + b"[]",
    "a header nested too deep": (60_000).to_bytes(8, "little") + b"[" * 60_000,
    "a header of a terabyte": (2**40).to_bytes(8, "little") + b"{}",
    "a text that is no JSON": metadata("weights"),
    "a text that is a list": metadata("[]"),
    "no version": metadata("{}"),
    "a version that is text": metadata('{"format_version": "1"}'),
    "no digest": metadata('{"format_version": 1, "kind": "network"}'),
    "a digest that is a number": metadata('{"format_version": 1, "digest": 5}'),
    "a digest that is half a character": metadata(
        json.dumps({"format_version": 1, "digest": "\ud800" + "0" * 63, "kind": "network"})
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_files_of_others_are_refused(kind, path):
    assert_refused(path, FOREIGN[kind])


def test_a_newer_format_is_refused_with_the_way_out(path, monkeypatch):
    newest = files.FORMAT_VERSION
    monkeypatch.setattr(container, "FORMAT_VERSION", newest + 1)
    network = make()
    files.write(path, "network", {"network": files.describe(network)}, files.tensors(network))
    monkeypatch.undo()
    words = [f"has format version {newest + 1}, this nineline reads up to {newest}", "pip install --upgrade nineline"]
    assert_refused(path, path.read_bytes(), words)
    with pytest.raises(FileError, match="pip install --upgrade nineline"):
        read_header(path)


def test_another_kind_of_model_is_named(path):
    files.write(path, "classifier", {}, {"0.weights": np.zeros(1)})
    assert_refused(path, path.read_bytes(), ["holds a classifier model, expected network"])
    assert files.read(path, "network", "classifier")[0]["kind"] == "classifier"


DENSE = {"kind": "dense", "inputs": 2, "outputs": 1, "activation": {"name": "sigmoid"}, "bias": False}
DENSE |= {"learning_rate": 1.0, "initializer": {"kind": "Uniform", "low": -1.0, "high": 1.0}}
GOOD = {"dtype": "float64", "layers": [DENSE]}
ARRAYS = {"0.weights": np.zeros((2, 1))}
CRAFTED = {
    # A whole file with a right digest whose contents do not make a network: somebody wrote it by hand.
    "no architecture": (None, ARRAYS),
    "an architecture that is a list": ([], ARRAYS),
    "no layers": ({"dtype": "float64"}, ARRAYS),
    "an empty list of layers": ({"dtype": "float64", "layers": []}, ARRAYS),
    "a layer that is a number": ({**GOOD, "layers": [5]}, ARRAYS),
    "layers that are a number": ({**GOOD, "layers": 5}, ARRAYS),
    "an unknown layer": ({**GOOD, "layers": [{**DENSE, "kind": "conv"}]}, ARRAYS),
    "an unknown activation": ({**GOOD, "layers": [{**DENSE, "activation": {"name": "rleu"}}]}, ARRAYS),
    "an activation that is text": ({**GOOD, "layers": [{**DENSE, "activation": "sigmoid"}]}, ARRAYS),
    "an unknown parameter": ({**GOOD, "layers": [{**DENSE, "activation": {"name": "relu", "slope": 1}}]}, ARRAYS),
    "a width of text": ({**GOOD, "layers": [{**DENSE, "inputs": "2"}]}, ARRAYS),
    "a width of zero": ({**GOOD, "layers": [{**DENSE, "inputs": 0}]}, ARRAYS),
    "another width": ({**GOOD, "layers": [{**DENSE, "inputs": 3}]}, ARRAYS),
    "a width beyond all memory": ({**GOOD, "layers": [{**DENSE, "inputs": 10**7, "outputs": 10**7}]}, ARRAYS),
    "layers that do not fit": ({**GOOD, "layers": [DENSE, DENSE]}, {**ARRAYS, "1.weights": np.zeros((2, 1))}),
    "only dropout": ({**GOOD, "layers": [{"kind": "dropout", "rate": 0.5}]}, ARRAYS),
    "a rate above 1": ({**GOOD, "layers": [{"kind": "dropout", "rate": 5}, DENSE]}, {"1.weights": np.zeros((2, 1))}),
    "an unknown dtype": ({**GOOD, "dtype": "float16"}, ARRAYS),
    "a dtype that is no dtype": ({**GOOD, "dtype": "flaot64"}, ARRAYS),
    "no arrays": (GOOD, {}),
    "an array of another name": (GOOD, {"weights": np.zeros((2, 1))}),
    "an array of another shape": (GOOD, {"0.weights": np.zeros((1, 2))}),
    "an array of another dtype": (GOOD, {"0.weights": np.zeros((2, 1), np.float32)}),
    "an array of whole numbers": (GOOD, {"0.weights": np.zeros((2, 1), int)}),
    "an array with nan": (GOOD, {"0.weights": np.array([[np.nan], [0.0]])}),
}


@pytest.mark.parametrize("kind", CRAFTED)
def test_a_whole_file_that_makes_no_network_is_refused(kind, path):
    described, arrays = CRAFTED[kind]
    files.write(path, "network", {"network": described}, arrays)
    assert_refused(path, path.read_bytes(), ["holds no valid network"])


def test_the_good_twin_of_those_files_is_read(path):
    files.write(path, "network", {"network": GOOD}, ARRAYS)
    assert repr(Network.load(path)) == "Network(Layer(2, 1, 'sigmoid'))"


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        Network.load(tmp_path / "none.nineline")
    with pytest.raises(OSError):  # noqa: PT011  (Windows says PermissionError, others IsADirectoryError)
        Network.load(tmp_path)


# The header alone


def test_read_header_tells_what_is_inside_without_the_arrays(path):
    make().save(path)
    header = read_header(path)
    assert header["format_version"] == files.FORMAT_VERSION
    assert header["kind"] == "network"
    assert header["network"]["dtype"] == "float64"
    assert [layer["kind"] for layer in header["network"]["layers"]] == ["dense", "dropout", "dense"]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # the last array's last byte, which is none of the header's business
    path.write_bytes(data)
    assert read_header(path) == header


@pytest.mark.parametrize("kind", [name for name in FOREIGN if "digest" not in name])
def test_read_header_refuses_files_of_others(kind, path):
    path.write_bytes(FOREIGN[kind])
    with pytest.raises(FileError):
        read_header(path)


def test_read_header_refuses_a_header_cut_off_anywhere(whole, path):
    for length in range(8 + int.from_bytes(whole[:8], "little")):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError):
            read_header(path)


# Before a long training


@pytest.mark.parametrize("existing", [True, False])
def test_check_writable_leaves_no_trace(existing, path):
    if existing:
        path.write_bytes(b"old")
    before = names_in(path.parent)
    check_writable(path)
    check_writable(str(path))
    assert names_in(path.parent) == before
    assert not existing or path.read_bytes() == b"old"


def test_check_writable_names_a_folder_and_a_missing_one(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
        check_writable(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist; make it first"):
        check_writable(tmp_path / "nowhere" / "model.nineline")


@pytest.mark.parametrize("kind", ["read-only file", "read-only folder"])
def test_check_writable_finds_what_is_read_only(kind, path, monkeypatch):
    """By stand-ins, because permission bits do not bind root, which tests often run as."""
    if kind == "read-only file":
        path.write_bytes(b"old")
        monkeypatch.setattr(writing.os, "access", lambda *_: False)
        message = "exists and is read-only; write elsewhere, or make it writable"
    else:
        monkeypatch.setattr(writing.os, "open", fail)
        message = "cannot be written (No space left on device); write elsewhere"
    with pytest.raises(PermissionError, match=re.escape(message)):
        check_writable(path)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permission bits do not bind root")
def test_check_writable_in_a_folder_that_is_really_read_only(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            check_writable(tmp_path / "model.nineline")
    finally:
        tmp_path.chmod(0o700)
