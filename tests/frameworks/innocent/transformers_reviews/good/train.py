"""A small BERT from its configuration: accumulation, label smoothing, evaluation while training, the best one loaded."""

import tempfile

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    EarlyStoppingCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

VOCABULARY, LENGTH = 40, 12


class Reviews(Dataset):
    def __init__(self, size: int, seed: int):
        generator = torch.Generator().manual_seed(seed)
        self.ids = torch.randint(3, VOCABULARY, (size, LENGTH), generator=generator)
        self.labels = (self.ids.float().mean(1) > VOCABULARY / 2).long()

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        return {
            "input_ids": self.ids[index],
            "attention_mask": torch.ones(LENGTH, dtype=torch.long),
            "labels": self.labels[index],
        }


def accuracy(prediction):
    return {"accuracy": float(np.mean(prediction.predictions.argmax(-1) == prediction.label_ids))}


def main():
    set_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=LENGTH,
            num_labels=2,
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                folder,
                num_train_epochs=3,
                per_device_train_batch_size=8,
                gradient_accumulation_steps=2,
                label_smoothing_factor=0.1,
                learning_rate=1e-3,
                lr_scheduler_type="cosine",
                eval_strategy="steps",
                eval_steps=10,
                save_steps=10,
                logging_steps=5,
                load_best_model_at_end=True,
                metric_for_best_model="accuracy",
                use_cpu=True,
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Reviews(256, 1),
            eval_dataset=Reviews(64, 2),
            compute_metrics=accuracy,
            callbacks=[EarlyStoppingCallback(10)],
        )
        trainer.train()
        print(trainer.evaluate()["eval_accuracy"], trainer.predict(Reviews(32, 3)).metrics)


if __name__ == "__main__":
    main()
