"""A stream of texts, a frozen layer, workers, Adafactor, a model that is made by the Trainer; then a small T5 that generates."""

import tempfile

import torch
from torch.utils.data import Dataset, IterableDataset
from transformers import (
    BertConfig,
    BertForTokenClassification,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainingArguments,
    set_seed,
)


class Stream(IterableDataset):
    def __init__(self, size=200):
        self.size = size

    def __iter__(self):
        generator = torch.Generator().manual_seed(0)
        for _ in range(self.size):
            length = int(torch.randint(4, 12, (1,), generator=generator))
            ids = torch.randint(3, 30, (length,), generator=generator)
            yield {"input_ids": ids, "labels": ids % 3}


class Turned(Dataset):
    def __init__(self, size):
        self.ids = torch.randint(3, 30, (size, 8))

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        ids = self.ids[index]
        return {"input_ids": ids, "labels": ids.flip(0), "attention_mask": torch.ones_like(ids)}


def collate(items):
    longest = max(len(item["input_ids"]) for item in items)

    def padded(tensor, value):
        return torch.cat([tensor, tensor.new_full((longest - len(tensor),), value)])

    return {
        "input_ids": torch.stack([padded(i["input_ids"], 0) for i in items]),
        "labels": torch.stack([padded(i["labels"], -100) for i in items]),
        "attention_mask": torch.stack([padded(torch.ones_like(i["input_ids"]), 0) for i in items]),
    }


def tagger():
    return BertForTokenClassification(
        BertConfig(
            vocab_size=30,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=16,
            num_labels=3,
        )
    )


def main(folder):
    set_seed(4)
    common = {
        "output_dir": folder,
        "per_device_train_batch_size": 8,
        "learning_rate": 1e-3,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    model = tagger()
    for parameter in model.bert.encoder.layer[0].parameters():
        parameter.requires_grad = False
    options = TrainingArguments(max_steps=40, **common)
    Trainer(model, options, train_dataset=Stream(), data_collator=collate).train()

    texts = list(Stream(120))
    options = TrainingArguments(
        num_train_epochs=2,
        eval_strategy="epoch",
        eval_on_start=True,
        dataloader_num_workers=1,
        gradient_accumulation_steps=3,
        optim="adafactor",
        lr_scheduler_type="constant",
        **common,
    )
    trainer = Trainer(
        model_init=tagger,
        args=options,
        train_dataset=texts[:96],
        eval_dataset=texts[96:],
        data_collator=collate,
    )
    trainer.train()

    config = T5Config(
        vocab_size=30,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=0,
    )
    options = Seq2SeqTrainingArguments(
        num_train_epochs=2, predict_with_generate=True, eval_strategy="epoch", **common
    )
    trainer = Seq2SeqTrainer(
        T5ForConditionalGeneration(config),
        options,
        train_dataset=Turned(80),
        eval_dataset=Turned(16),
    )
    trainer.train()
    trainer.predict(Turned(8))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
