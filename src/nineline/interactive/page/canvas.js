// A canvas that is as sharp as the screen, and as large as its style says.

import { make } from "./elements.js";

/** Make one; `start()` clears it and returns its context, in CSS pixels, or null while it has no size. */
export function makeCanvas(properties, redraw) {
  const element = make("canvas", { role: "img", ...properties });
  const context = element.getContext("2d");
  const canvas = { element, context, width: 0, height: 0, start };
  let scale = 1;

  function start() {
    if (!canvas.width || !canvas.height) return null;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    return context;
  }

  new ResizeObserver(([entry]) => {
    const { width, height } = entry.contentRect;
    scale = Math.min(window.devicePixelRatio || 1, 3);
    canvas.width = width;
    canvas.height = height;
    element.width = Math.round(width * scale);
    element.height = Math.round(height * scale);
    redraw();
  }).observe(element);
  return canvas;
}

/** The font of what is written into pictures. */
export const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
