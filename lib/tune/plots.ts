/** Plots of the report, as SVG. Small enough to be read on a phone. */
import type { Spec } from 'vega';
import { curveSpec, svgOf } from '../train/curve.js';
import type { LogLine } from '../train/log.js';
import type { TuneReport } from './types.js';

const size = { width: 300, height: 170 };

const colors: Readonly<Record<string, string>> = {
  bm25: '#8a8f98',
  base: '#c98a1b',
  sts: '#4f8f4f',
  tuned: '#1f5fa8',
  reranked: '#8c4fb0',
  blended: '#b3341e',
};

/** The loss of a training over its steps. */
export function lossPlot(log: readonly LogLine[]): Promise<string> {
  return svgOf(curveSpec(log, 'score', size));
}

/** The hit rate against k, a line a system. */
export function hitRatePlot({ curves, systems }: TuneReport): Promise<string> {
  const labelOf = (name: string): string => systems.find((system) => system.name === name)!.label;
  const names = Object.keys(curves);
  const values = names.flatMap((name) => curves[name]!.map((rate, i) => ({ system: labelOf(name), k: i + 1, rate })));
  return svgOf({
    $schema: 'https://vega.github.io/schema/vega/v6.json',
    background: 'white',
    padding: 8,
    ...size,
    height: 220,
    data: [{ name: 'rates', values }],
    scales: [
      { name: 'x', type: 'linear', range: 'width', zero: false, domain: { data: 'rates', field: 'k' } },
      { name: 'y', type: 'linear', range: 'height', nice: true, zero: false, domain: { data: 'rates', field: 'rate' } },
      {
        name: 'color',
        type: 'ordinal',
        domain: names.map(labelOf),
        range: names.map((name) => colors[name] ?? '#444444'),
      },
    ],
    axes: [
      { orient: 'bottom', scale: 'x', title: 'k', tickCount: 6, format: 'd' },
      { orient: 'left', scale: 'y', title: 'hit rate', grid: true, tickCount: 5 },
    ],
    legends: [{ stroke: 'color', symbolType: 'stroke', orient: 'bottom', columns: 2, labelLimit: 220 }],
    marks: [
      {
        type: 'group',
        from: { facet: { name: 'line', data: 'rates', groupby: 'system' } },
        marks: [
          {
            type: 'line',
            from: { data: 'line' },
            encode: {
              enter: {
                x: { scale: 'x', field: 'k' },
                y: { scale: 'y', field: 'rate' },
                stroke: { scale: 'color', field: 'system' },
                strokeWidth: { value: 2 },
              },
            },
          },
        ],
      },
    ],
  } as unknown as Spec);
}
