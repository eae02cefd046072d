// What can be taken along: the code in Python, the model's file, C, and a link.

import { button, make } from "./elements.js";

/** The buttons, as `element`, and the dialog that shows code. */
export function exporting(page) {
  const ask = (what) => () => page.send({ type: "export", what });
  const link = page.whole ? button("copy-link", "Copy link", copyLink) : null;
  const element = make("div", { className: "exports" },
    button("export-python", "Python code", ask("python")), button("export-model", "Model file", ask("model")),
    button("export-c", "C code", ask("c")), link);

  const title = make("h2");
  const code = make("pre", { tabIndex: 0, role: "region", "aria-label": "The code" });
  const copied = make("span", { role: "status" });
  let file = null;
  const dialog = make("dialog", { className: "code", "aria-label": "Code" }, title, code,
    make("div", { className: "group" },
      button("copy-code", "Copy", async () => {
        const done = await copy(code.textContent);
        copied.textContent = done ? "Copied." : "Copying is not allowed here: select the text.";
      }),
      button("save-code", "Save as a file", () => save(file.name, file.bytes)),
      button("close-code", "Close", () => dialog.close()), copied));

  function open(name, text, bytes) {
    file = { name, bytes };
    title.textContent = name;
    code.textContent = text;
    copied.textContent = "";
    if (!dialog.open) dialog.showModal();
  }

  async function copyLink() {
    const address = new URL(location.href);
    const fragment = encodeURIComponent(JSON.stringify(page.state.settings));
    const text = `${address.href.split("#")[0]}#${fragment}`;
    if (await copy(text)) page.notice("The link is copied: it has all settings in it.");
    else open("link.txt", text, new TextEncoder().encode(text));
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  }

  function save(name, bytes) {
    const address = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
    const anchor = make("a", { href: address, download: name, hidden: true });
    page.root.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  return {
    element,
    dialog,
    file({ what, name, text, arrays }) {
      const bytes = arrays.bytes ?? new TextEncoder().encode(text ?? "");
      if (what === "python") open(name, text ?? new TextDecoder().decode(bytes), bytes);
      else save(name, bytes);
    },
  };
}
