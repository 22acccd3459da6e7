"""tokenizers, onnxruntime and faiss for bench/retrieve.mjs: every text encoded alone. One JSON line in, one out."""
import gzip, json, os, sys, time
import faiss, numpy as np, onnxruntime
from tokenizers import Tokenizer

tokenizer = session = index = ids = None


def embed(text):
    encoding = tokenizer.encode(text)
    feeds = {
        "input_ids": np.array([encoding.ids], "i8"),
        "attention_mask": np.array([encoding.attention_mask], "i8"),
        "token_type_ids": np.array([encoding.type_ids], "i8"),
    }
    names = {value.name for value in session.get_inputs()}
    hidden = session.run(None, {name: feed for name, feed in feeds.items() if name in names})[0][0]  # (tokens, d)
    mean = hidden.mean(0)
    return mean / np.linalg.norm(mean)


for line in sys.stdin:
    r = json.loads(line)
    started = time.perf_counter()
    if r["do"] == "load":
        tokenizer = Tokenizer.from_file(os.path.join(r["model"], "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(r["maxSeqLength"])
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        file = os.path.join(r["model"], "onnx", "model.onnx")
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        with gzip.open(r["documents"], "rt", encoding="utf-8") as file:
            records = [(number, json.loads(text)) for number, text in enumerate(file, 1) if text.strip()]
        ids = [f"{r['documents']}:{number}" for number, _ in records]
        vectors = np.stack([embed(record["text"]) for _, record in records]).astype("f4")
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        answer = {"rows": len(ids), "onnxruntime": onnxruntime.__version__, "faiss": faiss.__version__}
    else:
        scores, labels = index.search(embed(r["query"])[None], r["k"])
        answer = {"ids": [ids[label] for label in labels[0]], "scores": scores[0].tolist()}
    print(json.dumps({**answer, "ms": (time.perf_counter() - started) * 1e3}), flush=True)
