// Elements in one line.

/** Make an HTML element: `data` for its dataset, names with a dash and `role` as attributes, the rest as properties. */
export function make(tag, properties = {}, ...children) {
  return furnish(document.createElement(tag), properties, children);
}

/** Make an SVG element; all its properties are attributes. */
export function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function furnish(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(element.dataset, value);
    else if (name === "role" || name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button with a name for tests and readers: its action. */
export function button(action, text, onclick, properties = {}) {
  return make("button", { type: "button", data: { action }, onclick, ...properties }, text);
}

/** Set a text only when it is another, which leaves a page's layout alone. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Call a function at most once a drawn frame, with the newest arguments. */
export function onceAFrame(act) {
  let newest = null;
  return (...given) => {
    if (!newest) {
      requestAnimationFrame(() => {
        const now = newest;
        newest = null;
        act(...now);
      });
    }
    newest = given;
  };
}
