"""torch for bench/train.mjs: one training step a line, as sentence-transformers runs it (sdpa, AdamW, clipping)."""
import json, os, resource, sys, time
import torch
import torch.nn.functional as F
from transformers import AutoModel, AutoModelForSequenceClassification

model = optimizer = None
pad = 0


def peak_megabytes():
    # ru_maxrss counts the process that started this one, too; the kernel's own mark does not.
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def feed(inputs):
    width = max(len(x["ids"]) for x in inputs)
    ids = torch.full((len(inputs), width), pad, dtype=torch.long)
    types = torch.zeros(len(inputs), width, dtype=torch.long)
    mask = torch.zeros(len(inputs), width, dtype=torch.long)
    for i, x in enumerate(inputs):
        n = len(x["ids"])
        ids[i, :n], types[i, :n], mask[i, :n] = torch.tensor(x["ids"]), torch.tensor(x["typeIds"]), 1
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}


def embed(inputs):
    e = feed(inputs)
    hidden, mask = model(**e).last_hidden_state, e["attention_mask"][..., None].float()
    return F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)


def loss_of(r):
    labels = torch.tensor(r["labels"], dtype=torch.float32) if r["labels"] else None
    if r["loss"] == "BinaryCrossEntropyLoss":
        return F.binary_cross_entropy_with_logits(model(**feed(r["columns"][0])).logits.squeeze(-1), labels)
    a, b = (embed(column) for column in r["columns"])
    if r["loss"] == "CosineSimilarityLoss":
        return F.mse_loss(F.cosine_similarity(a, b), labels)
    return F.cross_entropy(a @ b.T * 20, torch.arange(len(a)))


for line in sys.stdin:
    r = json.loads(line)
    if r["do"] == "load":
        torch.set_num_threads(r["threads"])
        kind = AutoModelForSequenceClassification if r["cross"] else AutoModel
        extra = {} if r["dropout"] else {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        if not r["cross"]:
            extra["add_pooling_layer"] = False
        model = kind.from_pretrained(r["directory"], attn_implementation="sdpa", **extra).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01, fused=True)
        print("{}", flush=True)
        continue
    started = time.perf_counter()
    optimizer.zero_grad()
    loss = loss_of(r)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    value = float(loss)
    elapsed = time.perf_counter() - started
    peak = peak_megabytes()
    print(json.dumps({"ms": elapsed * 1e3, "loss": value, "peak": peak, "pid": os.getpid()}), flush=True)
