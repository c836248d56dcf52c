"""Trainers of others step a watch; their models are made from configs."""

import importlib.util

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from deep_bottleneck import watch

pytestmark = pytest.mark.filterwarnings("ignore")


def needs(package):
    absent = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(absent, reason=f"needs {package}: requirements/integrations.txt")


X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
Y = (X.sum(1) > 0).long()


@needs("lightning")
def test_lightning_steps_after_every_epoch_and_goes_on_from_a_checkpoint(tmp_path):
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Dropout(0.5), nn.Linear(3, 2))

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.log("loss", loss, on_epoch=True, on_step=False)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 0.01)

    def trained(epochs, checkpoint=None):
        torch.manual_seed(0)
        module = Module()
        watched = watch(module, data=(X, Y), estimators="binning=0.3")
        trainer = lightning.Trainer(
            max_epochs=epochs, callbacks=[watched.lightning()], accelerator="cpu", logger=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
            enable_checkpointing=False,
        )  # fmt: skip
        loader = DataLoader(TensorDataset(X, Y), batch_size=10)
        trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        return watched

    first = trained(2)
    goes_on = trained(3, tmp_path / "last.ckpt")

    assert first.table["name"].tolist() == ["net.0", "net.3"] * 2
    assert goes_on.table["epoch"].unique().tolist() == [0, 1, 2]
    assert goes_on.table[:4].equals(first.table)
    assert goes_on._measurement.metrics["loss"].notna().all()


@needs("transformers")
def test_hugging_face_steps_after_every_epoch(tmp_path, monkeypatch):
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    # it takes our tests/datasets for the package of that name
    monkeypatch.setattr("transformers.trainer.is_datasets_available", lambda: False)
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=8,
        )
    )  # fmt: skip
    tokens, mask = torch.randint(11, (40, 6)), torch.ones(40, 6, dtype=torch.long)
    mask[:, 4:] = 0
    inputs = {"input_ids": tokens, "attention_mask": mask, "labels": Y}
    watched = watch(
        model, data=inputs, layers=["*.intermediate.dense", "classifier"], mask="attention_mask",
        representation="mean",
    )  # fmt: skip
    examples = [{name: values[row] for name, values in inputs.items()} for row in range(40)]
    arguments = TrainingArguments(
        tmp_path, num_train_epochs=2, per_device_train_batch_size=20, report_to=[], use_cpu=True,
        save_strategy="no", disable_tqdm=True, logging_steps=1,
    )  # fmt: skip

    Trainer(model, arguments, train_dataset=examples, callbacks=[watched.transformers()]).train()

    assert watched.table["epoch"].tolist() == [0, 0, 1, 1]
    assert watched.layers["name"].tolist()[-1] == "classifier"
    assert watched.layers["shape"].tolist() == [(6, 16), (2,)]
