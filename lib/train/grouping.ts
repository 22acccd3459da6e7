/** A run of texts, longest first, that attention takes as one padded block. */
export interface Group {
  /** First text, in the order of falling lengths, and how many there are. */
  readonly begin: number;
  readonly count: number;
  /** Places of each text: the longest length. */
  readonly places: number;
}

/** Padding costs attention n · s² and everything around it n · s: this many tokens weigh the second. */
const linearCost = 150;

/**
 * Cuts texts of falling lengths into at most `most` groups so that padding costs the least: dynamic programming over the
 * cuts.
 * @param lengths tokens of each text, falling
 */
export function groupsOf(lengths: ArrayLike<number>, most: number): Group[] {
  const n = lengths.length;
  const cost = (begin: number, end: number): number => (end - begin) * lengths[begin]! * (lengths[begin]! + linearCost);
  let best = Float64Array.from({ length: n + 1 }, (_, end) => (end === 0 ? 0 : cost(0, end)));
  const cuts: Int32Array[] = [new Int32Array(n + 1)];
  for (let k = 1; k < Math.min(most, n); k++) {
    const next = best.slice();
    const from = new Int32Array(n + 1).fill(-1);
    for (let end = 1; end <= n; end++)
      for (let begin = 1; begin < end; begin++) {
        const total = best[begin]! + cost(begin, end);
        if (total < next[end]!) {
          next[end] = total;
          from[end] = begin;
        }
      }
    cuts.push(from);
    best = next;
  }
  const groups: Group[] = [];
  for (let k = cuts.length - 1, end = n; end > 0; k--) {
    const begin = cuts[k]![end]!;
    if (begin < 0) continue; // one group fewer is as good
    groups.unshift({ begin, count: end - begin, places: lengths[begin]! });
    end = begin;
  }
  return groups;
}
