// Plots as SVG, by Vega: a specification in, the file's text out.
import { parse, View } from 'vega';

/**
 * Lines over logarithmic axes, small multiples side by side.
 * @param points { panel, series, x, y }
 */
export async function logLinePlot({ points, xTitle, yTitle, columns = 2 }) {
  const panels = [...new Set(points.map(({ panel }) => panel))];
  const view = new View(
    parse({
      $schema: 'https://vega.github.io/schema/vega/v5.json',
      padding: 12,
      background: 'white',
      layout: { columns, padding: 28 },
      data: [{ name: 'points', values: points }],
      scales: [{ name: 'color', type: 'ordinal', range: 'category', domain: { data: 'points', field: 'series' } }],
      legends: [{ stroke: 'color', symbolType: 'stroke', orient: 'right' }],
      marks: panels.map((panel) => ({
        type: 'group',
        encode: { enter: { width: { value: 300 }, height: { value: 190 } } },
        title: { text: panel, fontSize: 12 },
        data: [
          {
            name: 'here',
            source: 'points',
            transform: [{ type: 'filter', expr: `datum.panel === ${JSON.stringify(panel)}` }],
          },
        ],
        scales: [
          { name: 'x', type: 'log', base: 2, range: [0, 300], domain: { data: 'points', field: 'x' } },
          { name: 'y', type: 'log', range: [190, 0], nice: true, domain: { data: 'here', field: 'y' } },
        ],
        axes: [
          { scale: 'x', orient: 'bottom', title: xTitle, values: [...new Set(points.map(({ x }) => x))] },
          { scale: 'y', orient: 'left', title: yTitle, grid: true, tickCount: 5 },
        ],
        marks: [
          {
            type: 'group',
            from: { facet: { name: 'line', data: 'here', groupby: 'series' } },
            marks: [
              {
                type: 'line',
                from: { data: 'line' },
                encode: {
                  enter: {
                    x: { scale: 'x', field: 'x' },
                    y: { scale: 'y', field: 'y' },
                    stroke: { scale: 'color', field: 'series' },
                    strokeWidth: { value: 2 },
                  },
                },
              },
            ],
          },
        ],
      })),
    }),
    { renderer: 'none' },
  );
  return view.toSVG();
}
