// Run and its neighbours, and the numbers of the moment.

import { button, make, write } from "./elements.js";
import { choiceField } from "./fields.js";
import { counted, percent, short } from "./numbers.js";

const SPEEDS = [["1", "1 step/s"], ["5", "5/s"], ["20", "20/s"], ["100", "100/s"],
  ["500", "500/s"], ["null", "full speed"]];

/** The buttons, as `element`; the numbers, as `numbers`. */
export function controls(page) {
  const say = (type) => () => page.send({ type });
  const run = button("run", "Run", () => page.send({ type: page.state?.running ? "pause" : "run" }), {
    className: "main",
  });
  const undo = button("undo", "Undo", say("undo"), { disabled: true });
  const speed = choiceField("Speed", "speed", SPEEDS, (value) =>
    page.send({ type: "speed", value: value === "null" ? null : Number(value) }));
  speed.element.classList.add("speed");
  const element = make("div", { className: "controls" },
    make("div", { className: "group" },
      run, button("step", "Step", say("step")), button("epoch", "Epoch", say("epoch"))),
    make("div", { className: "group" },
      undo, button("rewind", "Back to start", () => page.send({ type: "rewind", seed: null })),
      button("new-weights", "New weights", () =>
        page.send({ type: "rewind", seed: Math.floor(Math.random() * 1_000_000) }))),
    speed.element);

  const value = {};
  const numbers = make("dl", { className: "numbers" });
  for (const [key, title] of [["epoch", "epoch"], ["step", "step"], ["pace", "steps/s"], ["loss", "loss"],
    ["test", "held out"], ["right", "right"]]) {
    value[key] = make("dd", {}, "–");
    numbers.append(make("div", { data: { number: key } }, make("dt", {}, title), value[key]));
  }

  return {
    element,
    numbers,
    state(state) {
      write(run, state.running ? "Pause" : "Run");
      run.classList.toggle("running", state.running);
      undo.disabled = !state.can_undo;
      speed.show(state.speed);
      write(value.step, counted(state.step));
      write(value.epoch, counted(Math.floor(state.epoch)));
    },
    frame(frame) {
      if (frame.step > 0) undo.disabled = false; // while it runs no state comes
      write(value.step, counted(frame.step));
      write(value.epoch, counted(Math.floor(frame.epoch)));
      write(value.pace, frame.running ? counted(frame.steps_per_second) : "–");
      write(value.loss, short(frame.loss));
      write(value.test, short(frame.test_loss));
      const share = frame.test_accuracy ?? frame.accuracy;
      value.right.parentElement.hidden = page.state.task !== "classes";
      write(value.right, percent(share));
      write(value.right.previousSibling, frame.test_accuracy === null ? "right" : "right, held out");
    },
  };
}
