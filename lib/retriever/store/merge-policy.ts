/** Segments with fewer rows are merged when there are many of them; larger ones are only rewritten by `compact`. */
const smallRows = 8192;
/** So many segments of about one size become one. */
const fan = 8;

/**
 * The first of the segments at the end that are to become one, given the rows of all; undefined where there is nothing
 * to do. As in a log-structured merge tree (O'Neil et al. 1996) sizes are compared by their powers of `fan`, so that a row is
 * rewritten four or five times at most, however it was added.
 */
export function mergeable(rows: readonly number[]): number | undefined {
  let found: number | undefined;
  for (let limit = fan; limit <= fan * smallRows; limit *= fan) {
    let first = rows.length;
    while (first > 0 && rows[first - 1]! < Math.min(limit, smallRows)) first--;
    if (rows.length - first >= fan) found = first;
  }
  return found;
}
