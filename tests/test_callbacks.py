"""The callbacks for Lightning and transformers: a fit is watched, reported, and otherwise what it was."""

from __future__ import annotations

import copy
import gc
import importlib
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from framework_fits import Boom, Lightning, Transformers, needs, quiet
from torchmedic import watch, watching

ROOT = Path(__file__).parent.parent
PACKAGES = ("lightning", "pytorch_lightning", "transformers", "accelerate", "ignite")


@pytest.fixture(autouse=True)
def _quiet():
    with quiet():
        yield


FRAMEWORKS = [
    pytest.param(Lightning, id="lightning", marks=needs("lightning")),
    pytest.param(Transformers, id="transformers", marks=needs("transformers")),
]
both = pytest.mark.parametrize("framework", FRAMEWORKS)


def callback_of(framework, **options):
    return importlib.import_module(framework.name).TorchmedicCallback(**options)


def bodies():
    """The code of what is watched."""
    import torch.utils.data.dataloader as loading

    watched = (
        nn.Module.__call__,
        nn.Module.__init__,
        nn.Module.train,
        torch.optim.Optimizer.zero_grad,
        loading.DataLoader.__iter__,
        nn.functional.cross_entropy,
        torch.autograd.graph._engine_run_backward,
    )
    return [getattr(f, "__wrapped__", f).__code__ for f in watched]


@both
def test_a_fit_is_watched_and_reported_at_its_end(framework, capfd):
    before = bodies()
    callback = callback_of(framework)
    fit = framework(callback)
    fit.fit()
    said = capfd.readouterr().err
    assert said.count("error[TM321]") == 1
    assert "framework_fits.py" in said
    [found] = callback.diagnoses
    assert "softmax(1)" in Path(found.at.path).read_text("utf-8").splitlines()[found.at.line - 1]
    assert bodies() == before
    assert watching._ACTIVE == []


@both
def test_an_exception_goes_on_and_what_was_seen_is_reported(framework, capfd):
    before = bodies()
    fit = framework(callback_of(framework), fails_at=30)
    with pytest.raises(Boom):
        fit.fit()
    assert bodies() == before
    assert watching._ACTIVE == []
    assert capfd.readouterr().err.count("error[TM321]") == 1


@both
def test_results_and_random_numbers_stay_what_they_are(framework, capfd):
    def result(*callbacks):
        fit = framework(*callbacks)
        fit.fit()
        weights = [p.tolist() for p in fit.model.parameters()]
        return weights, torch.get_rng_state().tolist()

    assert result(callback_of(framework)) == result()


@both
def test_an_error_of_ours_is_not_the_fits(framework, monkeypatch, capfd):
    def fail(*details):
        raise Boom

    callback = callback_of(framework)
    monkeypatch.setattr(watching, "_begin", fail)
    framework(callback).fit()
    assert callback.diagnoses == ()
    assert "TM321" not in capfd.readouterr().err


@both
def test_inside_a_watch_that_one_reports(framework, capfd):
    fit = framework(callback_of(framework))
    with watch(report=False) as seen:
        fit.fit()
        assert "TM321" not in capfd.readouterr().err
        assert watching._ACTIVE != []
    assert [d.rule.code for d in seen.diagnoses] == ["TM321"]


@both
def test_a_quiet_callback_has_what_was_found(framework, capfd):
    callback = callback_of(framework, report=False)
    framework(callback).fit()
    assert "TM321" not in capfd.readouterr().err
    assert [d.rule.code for d in callback.diagnoses] == ["TM321"]


@both
def test_one_callback_for_two_fits(framework, capfd):
    callback = callback_of(framework)
    framework(callback).fit()
    framework(callback).fit()
    assert capfd.readouterr().err.count("error[TM321]") == 2


@both
def test_copies_watch_on_their_own(framework, capfd):
    callback = callback_of(framework, lang="ko", report=False)
    callback.note = [1]
    for made in (pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)):
        assert isinstance(made, type(callback).__mro__[1])
        assert (made.note, made._lang, made.diagnoses) == ([1], "ko", ())
        framework(made).fit()
        assert [d.rule.code for d in made.diagnoses] == ["TM321"]
    assert capfd.readouterr().err.count("TM321") == 0


@both
def test_a_language_that_there_is_not(framework):
    with pytest.raises(ValueError, match="lang must be"):
        callback_of(framework, lang="de")


@needs("lightning")
def test_a_callback_belongs_to_the_lightning_that_is_used(capfd):
    import lightning.pytorch as one
    import pytorch_lightning as other

    from torchmedic.lightning import TorchmedicCallback

    callback = TorchmedicCallback(report=False)
    assert isinstance(callback, (TorchmedicCallback, one.Callback))
    assert isinstance(callback, other.Callback)
    for package in ("lightning.pytorch", "pytorch_lightning"):
        fit = Lightning(callback, package=package)
        fit.fit()
        assert [d.rule.code for d in callback.diagnoses] == ["TM321"]


@needs("lightning")
def test_a_checkpoint_has_nothing_of_the_callback(tmp_path, capfd):
    from torchmedic.lightning import TorchmedicCallback

    saved = []
    for callbacks in ((), (TorchmedicCallback(report=False),)):
        fit = Lightning(*callbacks)
        fit.fit()
        fit.trainer.save_checkpoint(tmp_path / "model.ckpt")
        saved.append(torch.load(tmp_path / "model.ckpt", weights_only=False))
    assert saved[0].keys() == saved[1].keys()
    assert saved[0]["callbacks"] == saved[1]["callbacks"] == {}


@needs("lightning")
def test_only_fits_are_watched_and_only_the_first_process_reports(capfd):
    from torchmedic.lightning import TorchmedicCallback

    callback = TorchmedicCallback()
    callback.setup(SimpleNamespace(is_global_zero=True), None, "validate")
    assert watching._ACTIVE == []
    for is_first in (True, False):
        callback.setup(SimpleNamespace(is_global_zero=is_first), None, "fit")
        Lightning().fit()
        callback.teardown(None, None, "fit")
        assert ("TM321" in capfd.readouterr().err) == is_first
        assert [d.rule.code for d in callback.diagnoses] == ["TM321"]


@needs("transformers")
def test_the_trainer_of_transformers_is_put_back(capfd):
    import transformers
    from transformers import Trainer, TrainerCallback

    from torchmedic.transformers import TorchmedicCallback

    gc.collect()
    before = Trainer.train.__code__
    callback = TorchmedicCallback()
    assert isinstance(callback, (TorchmedicCallback, TrainerCallback))
    assert Trainer.train.__code__ is not before
    assert Trainer.train.__code__.co_firstlineno == before.co_firstlineno
    fit = Transformers(TorchmedicCallback)  # the class, as transformers allows
    del callback
    fit.trainer.remove_callback(TorchmedicCallback)
    gc.collect()
    assert Trainer.train.__code__ is before
    assert transformers.Trainer is Trainer


@needs("transformers")
def test_a_training_that_is_retried_is_watched_on(capfd):
    callback = callback_of(Transformers)
    fit = Transformers(callback, fails_at=12)
    state = fit.trainer.state
    callback.on_train_begin(None, state, None)
    callback.on_train_begin(None, state, None)  # after its memory was too small
    assert len(watching._ACTIVE) == 1
    with pytest.raises(Boom):
        fit.fit()
    assert watching._ACTIVE == []


@pytest.mark.parametrize(
    ("name", "packages"), [("lightning", PACKAGES[:2]), ("transformers", PACKAGES[2:3])]
)
def test_without_the_package_one_sentence_says_so(name, packages, monkeypatch):
    for package in [m for m in sys.modules if m.partition(".")[0] in packages]:
        monkeypatch.delitem(sys.modules, package)
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"torchmedic.{name} needs the package {name}"):
        importlib.import_module(f"torchmedic.{name}").TorchmedicCallback()


def test_nothing_is_imported_before_a_callback_is_made():
    code = "import sys, torchmedic.lightning as a, torchmedic.transformers as b\n"
    code += "assert a.TorchmedicCallback and b.TorchmedicCallback\n"
    code += f"print([m for m in ('torch', *{PACKAGES}) if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@needs("lightning")
def test_under_run_there_is_one_report(tmp_path):
    source = (
        ROOT / "tests/frameworks/activation-doubled-before-loss/lightning_species/bad/train.py"
    ).read_text("utf-8")
    source = "from torchmedic.lightning import TorchmedicCallback\n" + source
    source = source.replace("max_epochs=3,", "max_epochs=3, callbacks=[TorchmedicCallback()],")
    assert "callbacks=[" in source
    (tmp_path / "train.py").write_text(source, "utf-8")
    for words, count in (("-m", "torchmedic", "run", "train.py"), 1), (("train.py",), 1):
        run = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        assert run.stderr.count("error[TM321]") == count
