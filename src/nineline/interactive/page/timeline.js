// The time line: every step of the training can be gone back to.

import { make, onceAFrame, write } from "./elements.js";
import { counted } from "./numbers.js";

/** A range from the first to the last step. */
export function timeline(page) {
  const range = make("input", { type: "range", min: 0, max: 0, value: 0, step: 1, data: { action: "time-line" } });
  const told = make("span", { className: "told" }, "step 0 of 0");
  const element = make("label", { className: "time" }, make("span", { className: "title" }, "Time"), range, told);
  const go = onceAFrame((step) => page.send({ type: "go_to", step }));
  let sliding = false;
  const tell = (step, last) => {
    const text = `step ${counted(step)} of ${counted(last)}`;
    write(told, text);
    range.setAttribute("aria-valuetext", text);
  };

  range.addEventListener("input", () => {
    tell(Number(range.value), Number(range.max));
    go(Number(range.value));
  });
  range.addEventListener("pointerdown", () => (sliding = true));
  for (const end of ["pointerup", "pointercancel", "blur"]) range.addEventListener(end, () => (sliding = false));

  function show({ step, last_step: last }) {
    const most = Math.max(last, step);
    if (Number(range.max) !== most) range.max = most;
    if (sliding) return;
    range.value = step;
    tell(step, most);
  }

  return { element, state: show, frame: show };
}
