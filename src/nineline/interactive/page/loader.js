// Loads the playground into a notebook's cell: a widget there is one module, so the others come as text from the kernel.

/** Return the address of a module, made of its text; the modules that it imports come first. */
function address(name, modules, made) {
  if (!made.has(name)) {
    const text = modules[name].replace(
      /(from\s+")\.\/([^"]+)"/g, (_, before, other) => `${before}${address(other, modules, made)}"`,
    );
    made.set(name, URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  }
  return made.get(name);
}

/** Show the playground in `el`, and hide its last picture, which is kept beside it; returns what takes both back. */
async function render({ model, el }) {
  const made = new Map();
  const { default: widget } = await import(address("widget.js", model.get("modules"), made));
  const hidden = document.createElement("style");
  hidden.textContent = `.${model.get("picture")} { display: none; }`;
  el.append(hidden);
  const end = widget.render({ model, el });
  return () => {
    end();
    hidden.remove();
    for (const each of made.values()) URL.revokeObjectURL(each);
  };
}

export default { render };
