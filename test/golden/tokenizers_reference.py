"""Ids of texts by the tokenizers library: reads {"files": [...], "texts": [...]} and writes one line a file and text."""

import json
import sys

from tokenizers import Tokenizer

job = json.load(open(sys.argv[1], encoding="utf8"))
with open(sys.argv[2], "w", encoding="utf8") as out:
    for file in job["files"]:
        tokenizer = Tokenizer.from_file(file)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        for encoding in tokenizer.encode_batch(job["texts"], add_special_tokens=False):
            out.write(" ".join(map(str, encoding.ids)) + "\n")
