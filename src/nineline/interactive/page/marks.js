// Points: a shape for each class, filled where a row is learned from, an outline where it is held out.

/** The outline of a mark as the path of an SVG: a disc, a square, a triangle, a diamond, and again. */
export function markPath(kind, x, y, radius) {
  const r = radius;
  if (kind % 4 === 0) return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  if (kind % 4 === 1) return `M${x - r * 0.88} ${y - r * 0.88}h${r * 1.76}v${r * 1.76}h${-r * 1.76}Z`;
  if (kind % 4 === 2) return `M${x} ${y - r * 1.2}l${r * 1.15} ${r * 2}h${-r * 2.3}Z`;
  return `M${x} ${y - r * 1.25}l${r * 1.25} ${r * 1.25}l${-r * 1.25} ${r * 1.25}l${-r * 1.25} ${-r * 1.25}Z`;
}

/** Draw a mark; `rim` is the colour around a filled one. */
export function drawMark(context, kind, [x, y], radius, colour, { paper, ink }, outlined, rim = paper) {
  const path = new Path2D(markPath(kind, x, y, radius));
  if (outlined) {
    context.fillStyle = paper;
    context.strokeStyle = ink;
    context.lineWidth = 3.4;
    context.stroke(path);
    context.fill(path);
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.stroke(path);
    return;
  }
  context.fillStyle = colour;
  context.strokeStyle = rim;
  context.lineWidth = 2;
  context.stroke(path);
  context.fill(path);
}
