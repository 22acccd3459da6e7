"""faiss IndexFlatL2 for bench/search: one JSON line in, one out."""
import json, sys, time
import faiss, numpy as np

index = queries = None
for line in sys.stdin:
    r = json.loads(line)
    if r["do"] == "load":
        index = None
        x = np.fromfile(r["vectors"], "f4").reshape(-1, r["d"])
        queries = np.fromfile(r["queries"], "f4").reshape(-1, r["d"])
        index = faiss.IndexFlatL2(r["d"])
        t = time.perf_counter()
        index.add(x)
        print(json.dumps({"ms": (time.perf_counter() - t) * 1e3, "version": faiss.__version__}), flush=True)
        del x
    else:
        faiss.omp_set_num_threads(r["threads"])
        q = queries[: r["nq"]]
        t = time.perf_counter()
        _, labels = index.search(q, r["k"])
        ms = (time.perf_counter() - t) * 1e3
        print(json.dumps({"ms": ms, "labels": labels[:4].ravel().tolist()}), flush=True)
