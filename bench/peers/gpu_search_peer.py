"""torch on the same GPU: matmul + topk in fp32 and fp16, cdist + topk. Usage: gpu_search_peer.py N D; a JSON line for each."""
import json
import statistics
import sys
import time

import torch

ROUNDS = 15
CHUNK_VALUES = 1 << 31  # of a matrix of distances


def median_ms(run):
    times = []
    for turn in range(-1, ROUNDS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        if turn >= 0:
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def in_chunks(queries, rows, k, distances):
    step = max(1, CHUNK_VALUES // len(rows))
    for begin in range(0, len(queries), step):
        distances(queries[begin : begin + step]).topk(k, largest=False)


def main(n, d):
    torch.backends.cuda.matmul.allow_tf32 = False
    rows = torch.nn.functional.normalize(torch.randn(n, d, device="cuda"))
    for nq in (1, 16, 256, 4096):
        queries = torch.nn.functional.normalize(torch.randn(nq, d, device="cuda"))
        for k in (10, 100):
            for name, x, q in (("fp32", rows, queries), ("fp16", rows.half(), queries.half())):
                norms = (x.float() ** 2).sum(1).to(x.dtype)
                run = lambda: in_chunks(q, x, k, lambda part: norms - 2 * (part @ x.T))
                print(json.dumps({"what": f"torch matmul {name}", "n": n, "d": d, "nq": nq, "k": k, "ms": median_ms(run)}))
            run = lambda: in_chunks(queries, rows, k, lambda part: torch.cdist(part, rows))
            print(json.dumps({"what": "torch cdist", "n": n, "d": d, "nq": nq, "k": k, "ms": median_ms(run)}), flush=True)


main(int(sys.argv[1]), int(sys.argv[2]))
