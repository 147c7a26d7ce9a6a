"""A small GPT-2 in bfloat16 with checkpointed activations, then a model and a loss of one's own under the same Trainer."""

import tempfile

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed

TEXT = "the cat sat on the mat and the dog sat on the log while the frog sat in the bog. " * 12
LETTERS = sorted(set(TEXT))
BLOCK = 24


class Letters(Dataset):
    def __init__(self, text):
        self.codes = torch.tensor([LETTERS.index(letter) for letter in text])

    def __len__(self):
        return (len(self.codes) - 1) // BLOCK

    def __getitem__(self, index):
        block = self.codes[index * BLOCK : (index + 1) * BLOCK]
        return {"input_ids": block, "labels": block.clone()}


class Scores(Dataset):
    def __init__(self, size=160):
        self.features = torch.randn(size, 6)
        self.scores = self.features[:, :2].sum(1)

    def __len__(self):
        return len(self.features)

    def __getitem__(self, index):
        return {"features": self.features[index], "labels": self.scores[index]}


class Scorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))

    def forward(self, features, labels=None):
        return {"logits": self.net(features).squeeze(-1)}


class ScoreTrainer(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        outputs = model(**inputs)
        loss = nn.functional.huber_loss(outputs["logits"], inputs["labels"])
        return (loss, outputs) if return_outputs else loss


def arguments(folder, **more):
    return TrainingArguments(
        folder,
        per_device_train_batch_size=8,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        **more,
    )


set_seed(1)
config = GPT2Config(vocab_size=len(LETTERS), n_positions=BLOCK, n_embd=16, n_layer=2, n_head=2)
with tempfile.TemporaryDirectory() as folder:
    options = arguments(
        folder,
        max_steps=40,
        bf16=True,
        gradient_checkpointing=True,
        gradient_accumulation_steps=2,
        learning_rate=3e-3,
        warmup_steps=5,
        max_grad_norm=0.5,
        eval_strategy="epoch",
    )
    trainer = Trainer(
        GPT2LMHeadModel(config),
        options,
        train_dataset=Letters(TEXT),
        eval_dataset=Letters(TEXT[:200]),
    )
    trainer.train()

    model = Scorer()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 20)
    options = arguments(folder, num_train_epochs=3, eval_strategy="epoch", logging_strategy="epoch")
    trainer = ScoreTrainer(
        model,
        options,
        train_dataset=Scores(),
        eval_dataset=Scores(40),
        optimizers=(optimizer, schedule),
    )
    trainer.train()
