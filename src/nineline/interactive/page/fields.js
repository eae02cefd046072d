// Fields of a form. Each is {element, control, show(value)}; what is being typed is not overwritten by show.

import { make } from "./elements.js";
import { typed } from "./numbers.js";

/** A number; `send(number)` when it has been typed. `still`: it is not overwritten while it has the focus. */
export function numberField(label, setting, limits, send, still = false) {
  const control = make("input", { type: "number", step: "any", ...limits, data: { setting } });
  return guarded(labelled(label, control), control, typed, () => {
    if (control.value !== "" && control.checkValidity()) send(Number(control.value));
    else control.reportValidity();
  }, still);
}

/** A line of text. */
export function textField(label, setting, properties, send) {
  const control = make("input", { type: "text", ...properties, data: { setting } });
  return guarded(labelled(label, control), control, (text) => text ?? "", () => send(control.value));
}

/** One of several; `options` are names, or [value, title]. */
export function choiceField(label, setting, options, send) {
  const control = make("select", { data: { setting } }, ...options.map(option));
  control.addEventListener("change", () => send(control.value));
  return {
    element: labelled(label, control),
    control,
    show(value) {
      const text = String(value);
      if (![...control.options].some((one) => one.value === text)) control.append(option(text));
      control.value = text;
    },
  };
}

/** Yes or no. */
export function tickField(label, setting, send) {
  const control = make("input", { type: "checkbox", data: { setting } });
  control.addEventListener("change", () => send(control.checked));
  const element = make("label", { className: "tick" }, control, make("span", {}, label));
  return { element, control, show: (value) => (control.checked = Boolean(value)) };
}

/** A number to be slid to; `live` sends while it slides, else when it is let go. */
export function slideField(label, setting, limits, write, send, live = false) {
  const control = make("input", { type: "range", data: { setting }, ...limits });
  const told = make("span", { className: "told" });
  const tell = () => {
    const text = write(Number(control.value));
    told.textContent = text;
    control.setAttribute("aria-valuetext", text);
  };
  let sliding = false;
  control.addEventListener("input", () => {
    sliding = true;
    tell();
    if (live) send(Number(control.value));
  });
  control.addEventListener("change", () => {
    sliding = false;
    if (!live) send(Number(control.value));
  });
  control.addEventListener("blur", () => (sliding = false));
  const element = make("label", { className: "field slide" }, make("span", {}, make("span", { title: label }, label), told), control);
  return {
    element,
    control,
    show(value) {
      if (sliding) return;
      control.value = value;
      tell();
    },
  };
}

/** A number among usual ones, or any other. `empty` is the title of null, where null is allowed. */
export function usualField(label, setting, usual, limits, empty, send) {
  const other = make("input", {
    type: "number", step: "any", ...limits, hidden: true, "aria-label": `${label}, typed`,
    data: { setting: `${setting}.other` },
  });
  const options = usual.map((value) => [String(value), String(value)]);
  if (empty) options.push(["null", empty]);
  const control = make("select", { data: { setting } }, ...options.map(option), option(["other", "other…"]));
  const read = (text) => (text === "null" ? null : Number(text));
  control.addEventListener("change", () => {
    other.hidden = control.value !== "other";
    if (other.hidden) send(read(control.value));
    else other.focus();
  });
  other.addEventListener("change", () => {
    if (other.value === "" || !other.checkValidity()) return other.reportValidity();
    send(Number(other.value));
    return true;
  });
  const element = make("div", { className: "field usual" }, labelled(label, control), other);
  return {
    element,
    control,
    show(value) {
      const typing = !other.hidden && element.contains(element.getRootNode().activeElement);
      if (typing && Number(other.value) !== value) return;
      other.hidden = true;
      const text = String(value);
      if (![...control.options].some((one) => one.value === text)) control.prepend(option(text));
      control.value = text;
    },
  };
}

function labelled(label, control) {
  return make("label", { className: "field" }, make("span", {}, label), control);
}

function option(given) {
  const [value, title] = Array.isArray(given) ? given : [given, String(given).replaceAll("_", " ")];
  return make("option", { value }, title);
}

function guarded(element, control, write, send, still = false) {
  let typing = false;
  let shown;
  const field = {
    element,
    control,
    show(value) {
      shown = value;
      const focused = control.getRootNode().activeElement === control;
      if (!typing && !(still && focused)) control.value = write(value);
    },
  };
  control.addEventListener("input", () => (typing = true));
  control.addEventListener("change", () => {
    typing = false;
    send();
  });
  control.addEventListener("blur", () => {
    typing = false;
    if (shown !== undefined) control.value = write(shown);
  });
  return field;
}
