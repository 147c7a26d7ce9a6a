"""HF-like model with ModelOutput, labels in forward, Trainer with collator, generate with past, loss inside."""
from dataclasses import dataclass
from typing import Optional, Tuple
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


@dataclass
class Output:
    logits: torch.Tensor
    loss: Optional[torch.Tensor] = None
    past: Optional[Tuple[torch.Tensor, ...]] = None

    def __getitem__(self, k):
        return tuple(v for v in (self.loss, self.logits, self.past) if v is not None)[k]


@dataclass
class TinyConfig:
    vocab_size: int = 24
    hidden_size: int = 16
    num_labels: int = 1
    problem_type: Optional[str] = None


class PreTrained(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config

    @property
    def device(self):
        return next(self.parameters()).device

    @property
    def dtype(self):
        return next(self.parameters()).dtype

    def post_init(self):
        self.apply(self._init)

    def _init(self, m):
        if isinstance(m, (nn.Linear, nn.Embedding)):
            m.weight.data.normal_(mean=0.0, std=0.02)
        if isinstance(m, nn.Linear) and m.bias is not None:
            m.bias.data.zero_()


class Body(PreTrained):
    def __init__(self, config):
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=0)
        self.q = nn.Linear(config.hidden_size, config.hidden_size)
        self.kv = nn.Linear(config.hidden_size, 2 * config.hidden_size)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, past=None):
        x = self.wte(input_ids)
        k, v = self.kv(x).chunk(2, dim=-1)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=1), torch.cat([past[1], v], dim=1)
        score = self.q(x) @ k.transpose(1, 2) / self.config.hidden_size ** 0.5
        L, S = score.shape[-2:]
        causal = torch.ones(L, S, dtype=torch.bool, device=x.device).tril(diagonal=S - L)
        score = score.masked_fill(~causal, torch.finfo(score.dtype).min)
        if attention_mask is not None:
            ext = (1.0 - attention_mask[:, None, :].to(self.dtype)) * torch.finfo(self.dtype).min
            score = score + ext.clamp(min=-1e4)
        return x + score.softmax(-1) @ v, (k, v)


class ForSequenceClassification(PreTrained):
    def __init__(self, config):
        super().__init__(config)
        self.body, self.score = Body(config), nn.Linear(config.hidden_size, config.num_labels, bias=False)
        self.num_labels = config.num_labels

    def forward(self, input_ids, attention_mask=None, labels=None):
        h, _ = self.body(input_ids, attention_mask)
        last = attention_mask.sum(-1) - 1
        logits = self.score(h[torch.arange(h.size(0), device=h.device), last])
        loss = None
        if labels is not None:
            labels = labels.to(logits.device)
            if self.config.problem_type is None:
                if self.num_labels == 1:
                    self.config.problem_type = "regression"
                elif self.num_labels > 1 and (labels.dtype == torch.long or labels.dtype == torch.int):
                    self.config.problem_type = "single_label_classification"
                else:
                    self.config.problem_type = "multi_label_classification"
            if self.config.problem_type == "regression":
                fct = nn.MSELoss()
                loss = fct(logits.squeeze(), labels.squeeze()) if self.num_labels == 1 else fct(logits, labels)
            elif self.config.problem_type == "single_label_classification":
                loss = F.cross_entropy(logits.view(-1, self.num_labels), labels.view(-1))
            else:
                loss = F.binary_cross_entropy_with_logits(logits, labels)
        return Output(logits=logits, loss=loss)


class Data(Dataset):
    def __init__(self, n, labels):
        self.ids = [torch.randint(1, 24, (int(torch.randint(3, 8, ()).item()),)) for _ in range(n)]
        self.labels = labels

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "labels": self.labels[i]}


def collate(features):
    m = max(len(f["input_ids"]) for f in features)
    ids = torch.stack([F.pad(f["input_ids"], (0, m - len(f["input_ids"]))) for f in features])
    return {"input_ids": ids, "attention_mask": (ids != 0).long(), "labels": torch.stack([f["labels"] for f in features])}


torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
for n, labels in ((1, torch.randn(32)), (3, torch.randint(0, 3, (32,))), (4, torch.randint(0, 2, (32, 4)).float())):
    model = ForSequenceClassification(TinyConfig(num_labels=n)).to(device)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for batch in DataLoader(Data(32, labels), batch_size=8, shuffle=True, collate_fn=collate):
        batch = {k: v.to(model.device) for k, v in batch.items()}
        outputs = model(**batch)
        outputs.loss.backward()
        opt.step()
        opt.zero_grad()
    print(n, model.config.problem_type, outputs[0].item())
body = model.body.eval()
ids, past = torch.tensor([[3, 4, 5]], device=device), None
with torch.no_grad():
    for _ in range(4):
        inp = ids if past is None else ids[:, -1:]
        h, past = body(inp, past=past)
        ids = torch.cat([ids, (h[:, -1] @ body.wte.weight.T).argmax(-1, keepdim=True)], 1)
print(ids.tolist())
