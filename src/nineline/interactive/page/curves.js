// The loss over the steps: of the rows that are learned from a solid line, of those held out a dashed one.

import { FONT, makeCanvas } from "./canvas.js";
import { make, write } from "./elements.js";
import { tickField } from "./fields.js";
import { atTick, counted, extent, logTicks, short, ticks } from "./numbers.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [48, 8, 6, 20];

/** The curves, with the numbers of now beside. */
export function curves(page) {
  const canvas = makeCanvas({ className: "curves", "aria-label": "Loss over the steps" }, page.redraw);
  const log = tickField("Logarithmic", "curves.log", page.redraw);
  const train = make("span", { className: "figure" });
  const test = make("span", { className: "figure" });
  const element = make("div", { className: "losses" },
    make("div", { className: "head" }, make("h3", {}, "Loss"), log.element),
    make("div", { className: "legend" },
      make("span", {}, make("i", { className: "line solid" }), "learned from ", train),
      make("span", {}, make("i", { className: "line dashed" }), "held out ", test)),
    canvas.element);

  function frame(message) {
    write(train, scored(message.loss, message.accuracy));
    write(test, scored(message.test_loss, message.test_accuracy));
    const context = canvas.start();
    if (!context) return;
    const { curve_steps: steps, curve_train: learned, curve_test: held } = message.arrays;
    if (!steps?.length) return;
    drawCurves(context, canvas, page.colours, {
      across: [0, Math.max(steps[steps.length - 1], 1)], log: log.control.checked,
      lines: [
        { xs: steps, ys: learned, colour: page.colours.blue, dash: [] },
        { xs: steps, ys: held, colour: page.colours.orange, dash: [5, 3] },
      ],
      at: message.step < message.last_step ? message.step : null,
    });
  }

  return { element, frame };
}

/** Draw lines {xs, ys, colour, dash, width} into axes; `at` is where a thin line stands upright. */
export function drawCurves(context, { width, height }, colours, { across, log, lines, at = null }) {
  const [left, right, top, bottom] = [LEFT, width - RIGHT, TOP, height - BOTTOM];
  if (right <= left || bottom <= top) return;
  const positive = (value) => Number.isFinite(value) && (!log || value > 0);
  let [low, high] = extent(lines.flatMap(({ ys }) => extentOf(ys, positive)));
  if (log) low = Math.max(low, high * 1e-8);
  else low = Math.min(low, 0);
  if (high <= low) high = log ? low * 10 : low + 1;
  const level = log ? Math.log10 : (value) => value;
  const [base, rise] = [level(low), level(high) - level(low)];
  const toX = (value) => left + ((value - across[0]) / (across[1] - across[0] || 1)) * (right - left);
  const toY = (value) => bottom - ((level(value) - base) / rise) * (bottom - top);

  context.font = FONT;
  context.lineWidth = 1;
  context.fillStyle = colours.grey;
  context.strokeStyle = colours.faint;
  context.textAlign = "right";
  for (const value of log ? logTicks(low, high) : ticks(low, high, 4)) {
    const y = Math.round(toY(value)) + 0.5;
    context.beginPath();
    context.moveTo(left, y);
    context.lineTo(right, y);
    context.stroke();
    context.fillText(atTick(value), left - 5, Math.max(y + 4, 10));
  }
  for (const value of ticks(...across, 4).filter(Number.isInteger)) {
    context.textAlign = toX(value) > right - 20 ? "right" : "center";
    context.fillText(counted(value), toX(value), height - 5);
  }
  if (at !== null) {
    context.strokeStyle = colours.grey;
    context.beginPath();
    context.moveTo(toX(at), top);
    context.lineTo(toX(at), bottom);
    context.stroke();
  }
  context.lineJoin = "round";
  for (const { xs, ys, colour, dash, width: thick = 1.8 } of lines) {
    context.strokeStyle = colour;
    context.lineWidth = thick;
    context.setLineDash(dash);
    context.beginPath();
    for (let i = 0; i < ys.length; i++) {
      if (positive(ys[i])) context.lineTo(toX(xs[i]), toY(Math.max(ys[i], low)));
    }
    context.stroke();
  }
  context.setLineDash([]);
}

function extentOf(values, counts) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!counts(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function scored(loss, right) {
  const share = right === null || right === undefined ? "" : `, ${(100 * right).toFixed(0)} % right`;
  return `${short(loss)}${share}`;
}
