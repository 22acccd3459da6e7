"""Loads saved models with sentence-transformers: one JSON line in ({kind, directory, texts or pairs}), one out."""
import json, os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
out, sys.stdout = sys.stdout, sys.stderr
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer

for line in sys.stdin:
    r = json.loads(line)
    if r["kind"] == "sentence-transformer":
        model = SentenceTransformer(r["directory"], device="cpu")
        values = model.encode(r["texts"])
        about = {"maxSeqLength": model.max_seq_length, "similarity": model.similarity_fn_name, "prompts": model.prompts}
    else:
        model = CrossEncoder(r["directory"], device="cpu")
        values = model.predict(r["pairs"], activation_fn=torch.nn.Identity())
        about = {"numLabels": model.num_labels, "activation": type(model.activation_fn).__name__}
    print(json.dumps({"values": [float(v) for v in values.ravel()], **about}), file=out, flush=True)
