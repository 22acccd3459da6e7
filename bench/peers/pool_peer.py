"""numpy for bench/pool-merge.mjs: one JSON line in, one out."""
import json, sys, time
import numpy as np

hidden = mask = scores = None
for line in sys.stdin:
    r = json.loads(line)
    if r["do"] == "load":
        hidden = np.fromfile(r["hidden"], "f4").reshape(r["n"], r["length"], r["d"])
        lengths = np.fromfile(r["lengths"], "i4")
        mask = (np.arange(r["length"])[None, :] < lengths[:, None]).astype("f4")[:, :, None]
        scores = np.fromfile(r["scores"], "f4").reshape(r["queries"], -1)
        print("{}", flush=True)
        continue
    t = time.perf_counter()
    if r["do"] == "pool":
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    else:
        order = np.argsort(-scores, axis=1, kind="stable")[:, : r["k"]]
        np.take_along_axis(scores, order, 1)
    print(json.dumps({"ms": (time.perf_counter() - t) * 1e3}), flush=True)
