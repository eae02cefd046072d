// Small pictures of the examples, by their formulas; an example that is not known has none.

import { make } from "./elements.js";

const SIDE = 26;

/** A picture for the example of this name, or null. */
export function icon(name) {
  if (!SHAPES[name]) return null;
  const canvas = make("canvas", { width: 2 * SIDE, height: 2 * SIDE, className: "icon", "aria-hidden": "true" });
  canvas.dataset.icon = name;
  return canvas;
}

/** Draw the picture that a canvas from `icon` is for. */
export function drawIcon(canvas, colours, several) {
  const context = canvas.getContext("2d");
  context.setTransform(SIDE, 0, 0, -SIDE, SIDE, SIDE); // from -1 to 1, upwards
  context.clearRect(-1, -1, 2, 2);
  for (const [x, y, kind] of SHAPES[canvas.dataset.icon]) {
    context.fillStyle = kind === null ? colours.ink : several(kind);
    context.beginPath();
    context.arc(x, y, 0.11, 0, 2 * Math.PI);
    context.fill();
  }
}

const range = (count) => Array.from({ length: count }, (_, i) => i);
const round = (count, radius, [x, y], kind) => range(count).map((i) => {
  const angle = (2 * Math.PI * i) / count;
  return [x + radius * Math.cos(angle), y + radius * Math.sin(angle), kind];
});
const cloud = (x, y, kind) => [[x, y, kind], ...round(6, 0.26, [x, y], kind)];
const spiral = (arms) => range(arms).flatMap((k) => range(9).map((i) => {
  const radius = (i + 1) / 10;
  const angle = (2 * Math.PI * (2 * radius + k)) / arms;
  return [radius * Math.cos(angle), radius * Math.sin(angle), k];
}));
const line = (of) => range(13).map((i) => [(i - 6) / 7, of((i - 6) / 7), null]);

const SHAPES = {
  tutorial: [[-0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 1], [0.5, -0.5, 1]],
  xor: [cloud(-0.45, -0.45, 0), cloud(0.45, 0.45, 0), cloud(-0.45, 0.45, 1), cloud(0.45, -0.45, 1)].flat(),
  circles: [...round(14, 0.82, [0, 0], 0), ...cloud(0, 0, 1)],
  moons: range(9).flatMap((i) => {
    const [x, y] = [0.55 * Math.cos((Math.PI * i) / 8), 0.6 * Math.sin((Math.PI * i) / 8)];
    return [[x - 0.25, y - 0.12, 0], [0.25 - x, 0.12 - y, 1]];
  }),
  spirals: spiral(2),
  spirals3: spiral(3),
  gaussians: [...cloud(0.42, 0.42, 1), ...cloud(-0.42, -0.42, 0)],
  gaussians3: [...cloud(0.5, 0.35, 0), ...cloud(-0.5, 0.35, 1), ...cloud(0, -0.5, 2)],
  curve: range(7).flatMap((i) => {
    const x = (i - 3) / 3.6;
    const y = 0.4 * Math.sin(4 * x);
    return [[x, y + 0.38, 1], [x, y - 0.38, 0]];
  }),
  wave: line((x) => 0.7 * Math.sin(2 * Math.PI * x)),
  step: line((x) => (x < 0 ? -0.5 : 0.5)),
};
