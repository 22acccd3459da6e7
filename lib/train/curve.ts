/** Pictures of a training: loss above, the evaluator's metric below. */
import { writeFile } from 'node:fs/promises';
import type { Spec } from 'vega';
import type { LogLine } from './log.js';

interface Point {
  readonly step: number;
  readonly value: number;
}

/** How large the panels of a picture are. */
interface PanelSize {
  readonly width: number;
  readonly height: number;
}

const fileSize: PanelSize = { width: 640, height: 200 };
const gap = 56;
/** Points of the smoothed loss look back over this share of the run. */
const window = 0.02;

/** Means over the last few steps: single batches jump. */
function smoothed(points: readonly Point[]): Point[] {
  const span = Math.max(1, Math.round(points.length * window));
  let sum = 0;
  return points.map(({ step, value }, i) => {
    sum += value - (i >= span ? points[i - span]!.value : 0);
    return { step, value: sum / Math.min(i + 1, span) };
  });
}

function panel(
  { width, height }: PanelSize,
  top: number,
  title: string,
  series: readonly { name: string; style: Record<string, unknown> }[],
): object {
  const names = series.map(({ name }) => name);
  return {
    type: 'group',
    encode: { enter: { y: { value: top }, width: { value: width }, height: { value: height } } },
    scales: [
      { name: 'x', range: [0, width], nice: true, zero: true, domain: { data: names[0], field: 'step' } },
      {
        name: 'y',
        range: [height, 0],
        nice: true,
        zero: false,
        domain: { fields: names.map((data) => ({ data, field: 'value' })) },
      },
    ],
    axes: [
      { orient: 'bottom', scale: 'x', title: 'step', tickCount: width / 80, format: 'd' },
      { orient: 'left', scale: 'y', title, grid: true, tickCount: 5 },
    ],
    marks: series.map(({ name, style }) => ({
      type: 'points' in style ? 'symbol' : 'line',
      from: { data: name },
      encode: {
        enter: {
          x: { scale: 'x', field: 'step' },
          y: { scale: 'y', field: 'value' },
          ...('points' in style
            ? { fill: { value: style['points'] }, size: { value: 30 } }
            : { stroke: { value: style['stroke'] }, strokeWidth: { value: style['width'] } }),
        },
      },
    })),
  };
}

/** The specification of the picture of a log. @param metric which of the log's names is the metric */
export function curveSpec(log: readonly LogLine[], metric: string, size = fileSize): Spec {
  const { width, height } = size;
  const loss = log.flatMap(({ step, loss: value }) => (value === undefined ? [] : [{ step, value }]));
  const scores = log.flatMap(({ step, [metric]: value }) => (value === undefined ? [] : [{ step, value }]));
  const panels = [
    panel(size, 0, 'loss', [
      { name: 'loss', style: { stroke: '#c6d4e8', width: 1 } },
      { name: 'smoothed', style: { stroke: '#1f5fa8', width: 2 } },
    ]),
  ];
  if (scores.length > 0)
    panels.push(
      panel(size, height + gap, metric, [
        { name: 'scores', style: { stroke: '#b3541e', width: 2 } },
        { name: 'scores', style: { points: '#b3541e' } },
      ]),
    );
  return {
    $schema: 'https://vega.github.io/schema/vega/v6.json',
    background: 'white',
    padding: 8,
    width,
    height: panels.length * height + (panels.length - 1) * gap,
    data: [
      { name: 'loss', values: loss },
      { name: 'smoothed', values: smoothed(loss) },
      { name: 'scores', values: scores },
    ],
    marks: panels,
  } as unknown as Spec;
}

/** The picture of a specification, as the text of an SVG file. */
export async function svgOf(spec: Spec): Promise<string> {
  const vega = await import('vega');
  const view = new vega.View(vega.parse(spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** Writes the picture of a log to `path`.svg and `path`.png. */
export async function writeCurve(log: readonly LogLine[], metric: string, path: string): Promise<void> {
  const { Resvg } = await import('@resvg/resvg-js');
  const svg = await svgOf(curveSpec(log, metric));
  await writeFile(`${path}.svg`, svg);
  await writeFile(`${path}.png`, new Resvg(svg, { fitTo: { mode: 'zoom', value: 2 } }).render().asPng());
}
