"""sentence-transformers (torch) for bench/encode.mjs: one JSON line in, one out."""
import json, os, sys, time
os.environ.setdefault("HF_HUB_OFFLINE", "1")
out, sys.stdout = sys.stdout, sys.stderr
from sentence_transformers import CrossEncoder, SentenceTransformer

model = texts = None
for line in sys.stdin:
    r = json.loads(line)
    if r["do"] == "load":
        model = SentenceTransformer(r["model"], device=r.get("device", "cpu"))
        texts = r["texts"]
        answer = {}
    elif r["do"] == "load-cross-encoder":
        model = CrossEncoder(r["model"], device=r.get("device", "cpu"))
        texts = r["texts"]
        answer = {}
    elif r["do"] == "predict":
        t = time.perf_counter()
        model.predict(texts[r["name"]], batch_size=32)
        answer = {"ms": (time.perf_counter() - t) * 1e3}
    else:
        t = time.perf_counter()
        model.encode(texts[r["name"]], batch_size=32)
        answer = {"ms": (time.perf_counter() - t) * 1e3}
    print(json.dumps(answer), file=out, flush=True)
