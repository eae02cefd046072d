// What has to be said: refusals, a training that went wrong, a connection that is gone. Read aloud, politely.

import { button, make, write } from "./elements.js";

/** The line of notices; `page.notice(text)` says something. */
export function notices(page) {
  const text = make("span");
  const hide = button("hide-notice", "Hide", () => say(""), { "aria-label": "Hide the notice" });
  const box = make("div", { className: "notice", hidden: true }, text, hide);
  const element = make("div", { role: "status", "aria-live": "polite", className: "notices" }, box);
  let gone = false; // the connection
  let said = ""; // what the state said last, so that it is said once

  function say(words) {
    write(text, words);
    box.hidden = !words;
  }
  page.notice = say;
  page.deed = () => { // what was said is over with the next deed, and said again where it comes to that again
    if (gone) return;
    say("");
    said = "";
  };

  return {
    element,
    welcome() {
      if (gone) say("");
      gone = false;
    },
    state(state) {
      if (state.said !== said) say(state.said);
      said = state.said;
    },
    refused: (message) => say(message.text),
    ended: (message) => say(message.text || "The playground has ended."),
    lost({ again }) {
      gone = true;
      say(again
        ? "The connection is lost; trying to connect again …"
        : "Nobody answers: has the program that serves this page ended? Load the page again once it runs.");
    },
  };
}
