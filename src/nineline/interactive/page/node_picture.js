// What the node that is looked at answers over the axes, larger than in the diagram.

import { make, write } from "./elements.js";
import { short } from "./numbers.js";

/** A figure, hidden while no node is looked at. */
export function nodePicture(page) {
  const canvas = make("canvas", { role: "img", "aria-label": "Answers of the node" });
  const caption = make("figcaption");
  const element = make("figure", { className: "node-picture", hidden: true }, canvas, caption);
  const context = canvas.getContext("2d");

  function frame({ arrays, grid, ranges }) {
    const number = page.look.node ? numberOf(page.state.network.layers, ...page.look.node) : -1;
    element.hidden = !ranges[number];
    if (element.hidden) return;
    const size = grid.reduce((product, side) => product * side, 1);
    const bytes = arrays.nodes.subarray(number * size, (number + 1) * size);
    const [low, high] = ranges[number];
    if (grid.length === 2) drawPlane(bytes, grid[0]);
    else drawCurve(bytes);
    const { columns, x, y } = page.data;
    const over = [x, y].filter((axis) => axis !== null).map((axis) => columns[axis].name).join(" and ");
    const ends = grid.length === 2 ? ["orange is ", "blue is "] : ["from ", "to "];
    write(caption, `Its answers over ${over}: ${ends[0]}${short(low)}, ${ends[1]}${short(high)}.`);
  }

  function drawPlane(bytes, side) {
    if (canvas.width !== side || canvas.height !== side) canvas.width = canvas.height = side;
    const image = context.createImageData(side, side);
    const pixels = new Uint32Array(image.data.buffer);
    for (let row = 0, from = 0; row < side; row++) {
      const start = (side - 1 - row) * side;
      for (let to = start; to < start + side; to++) pixels[to] = page.colours.strong[bytes[from++]];
    }
    context.putImageData(image, 0, 0);
  }

  function drawCurve(bytes) {
    canvas.width = canvas.height = 264;
    context.strokeStyle = page.colours.ink;
    context.lineWidth = 3;
    bytes.forEach((byte, i) => context.lineTo((264 * i) / (bytes.length - 1), 259 - (254 * byte) / 255));
    context.stroke();
  }

  return { element, frame };
}

// The number of a node among all, inputs first.
function numberOf(layers, layer, node) {
  if (layer < 0) return node;
  return layers.slice(0, layer).reduce((sum, { outputs }) => sum + outputs, layers[0].inputs) + node;
}
