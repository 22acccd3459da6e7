// Answers a question from a store, by any language model behind an OpenAI-compatible endpoint.
//   OPENAI_BASE_URL=http://localhost:11434/v1 CHAT_MODEL=llama3.2 node examples/rag.mjs STORE MODEL QUESTION [CROSS_ENCODER]
// OPENAI_API_KEY is sent where it is set. CONTEXT_TOKENS is how many tokens of passages the model is given, at most (1,500).
import { pathToFileURL } from 'node:url';
import { CrossEncoder, Retriever, SentenceTransformer } from 'flatrank';

const instructions =
  'Answer the question from the numbered passages alone, in the language of the question. ' +
  'Name the passages you used, as [1]. Where they do not answer it, say so.';

/**
 * The best hits that fit into a budget of tokens, numbered. Tokens are counted by the encoder: another model counts a little
 * otherwise, so leave some room.
 */
export async function contextWithin(budget, hits, encoder) {
  const passages = hits.map(({ text }, i) => `[${i + 1}] ${text}`);
  const counts = await encoder.countTokens(passages);
  let used = 0;
  const fitting = passages.findIndex((_, i) => (used += counts[i]) > budget);
  return fitting === -1 ? passages : passages.slice(0, fitting);
}

/** The endpoint's answer to a question about passages. */
export async function complete({ baseUrl, apiKey, model }, question, passages, signal) {
  const response = await fetch(`${baseUrl.replace(/\/$/, '')}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}) },
    body: JSON.stringify({
      model,
      temperature: 0,
      messages: [
        { role: 'system', content: instructions },
        { role: 'user', content: `${passages.join('\n\n')}\n\nQuestion: ${question}` },
      ],
    }),
    signal,
  });
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${await response.text()}`);
  const { choices } = await response.json();
  return choices[0].message.content;
}

async function main([store, model, question, cross]) {
  if (!question) throw new Error('usage: node examples/rag.mjs STORE MODEL QUESTION [CROSS_ENCODER]');
  const { OPENAI_BASE_URL, OPENAI_API_KEY, CHAT_MODEL, CONTEXT_TOKENS = '1500' } = process.env;
  if (!OPENAI_BASE_URL || !CHAT_MODEL) throw new Error('OPENAI_BASE_URL and CHAT_MODEL must be set');
  const crossEncoder = cross ? await CrossEncoder.load(cross) : undefined;
  const encoder = await SentenceTransformer.load(model);
  const retriever = await Retriever.open(store, { encoder, readOnly: true, ...(crossEncoder ? { crossEncoder } : {}) });
  const hits = await (cross ? retriever.retrieve(question) : retriever.search(question));

  const passages = await contextWithin(Number(CONTEXT_TOKENS), hits, encoder);
  const endpoint = { baseUrl: OPENAI_BASE_URL, apiKey: OPENAI_API_KEY, model: CHAT_MODEL };
  console.log(await complete(endpoint, question, passages, AbortSignal.timeout(120_000)));
  console.log(
    `\nfrom ${hits
      .slice(0, passages.length)
      .map(({ id }, i) => `[${i + 1}] ${id}`)
      .join(', ')}`,
  );
  await Promise.all([retriever, encoder, crossEncoder].map((part) => part?.dispose()));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(process.argv.slice(2));
