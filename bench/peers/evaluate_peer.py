"""The tasks of bench/evaluate.mjs in Python: sentence-transformers' evaluators, and the hit rate by a plain argsort."""
import csv
import gzip
import json
import logging
import os
import sys
import warnings

warnings.filterwarnings("ignore")
os.environ["HF_HUB_OFFLINE"] = "1"
logging.disable(logging.WARNING)
import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import (
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
)


def sts(model, data):
    with open(f"{data}/stsb-en/stsb-en-test.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    evaluator = EmbeddingSimilarityEvaluator(
        [row[0] for row in rows],
        [row[1] for row in rows],
        [float(row[2]) / 5 for row in rows],
        similarity_fn_names=["cosine", "euclidean", "manhattan", "dot"],
    )
    return evaluator(model)


def scifact(model, data):
    with gzip.open(f"{data}/scifact/corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        documents = [json.loads(line) for line in file]
    corpus = {d["_id"]: (d["title"] + " " + d["text"]).strip() for d in documents}
    with open(f"{data}/scifact/queries.jsonl", encoding="utf-8") as file:
        queries = {q["_id"]: q["text"] for q in map(json.loads, file)}
    relevant = {}
    with open(f"{data}/scifact/qrels/test.tsv", encoding="utf-8") as file:
        for query, document, score in list(csv.reader(file, delimiter="\t"))[1:]:
            if int(score) > 0:
                relevant.setdefault(query, set()).add(document)
    return InformationRetrievalEvaluator(queries, corpus, relevant)(model)


def xquad(model, data):
    with open(f"{data}/xquad/xquad.en.json", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    pairs = [
        (question["question"], paragraph["context"])
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
    questions = model.encode([question for question, _ in pairs])
    own = [context for _, context in pairs]
    result = {}
    for suffix, contexts in (("", own), (", distinct contexts", list(dict.fromkeys(own)))):
        corpus = model.encode(contexts)
        contexts = np.array(contexts)
        ranks = np.full(len(pairs), np.inf)
        for i, query in enumerate(questions):
            distances = ((corpus - query) ** 2).sum(1)
            top = np.argsort(distances, kind="stable")[:10]
            hits = np.flatnonzero(contexts[top] == own[i])
            if len(hits) > 0:
                ranks[i] = hits[0] + 1
        result["hit@1" + suffix] = (ranks <= 1).mean()
        result["hit@10" + suffix] = (ranks <= 10).mean()
        result["mrr@10" + suffix] = (1 / ranks).mean()
    return result


for line in sys.stdin:
    request = json.loads(line)
    model = SentenceTransformer(request["model"], device="cpu", backend="torch")
    model.max_seq_length = request["maxSeqLength"]
    result = {"sts": sts, "scifact": scifact, "xquad": xquad}[request["task"]](model, request["data"])
    print(json.dumps({name: float(value) for name, value in result.items()}), flush=True)
