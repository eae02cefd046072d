// The connection of the page: a WebSocket beside it.

import { decode, encode } from "./protocol.js";

const WAITS = [300, 1000, 2000, 4000, 8000];

/** Connect; `receive(header, arrays)` gets what Python says, and {type: "lost", again} when nobody is there. */
export function connect(receive) {
  const address = new URL("./socket", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.hash = "";
  let socket = null;
  let tries = 0;
  let timer = null;
  let closed = false;

  function open() {
    socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    const mine = socket;
    const hello = { type: "hello", ...greeting() };
    socket.onopen = () => mine.send(encode(hello));
    socket.onmessage = (event) => {
      if (mine !== socket || closed) return;
      const [header, arrays] = decode(event.data);
      if (header.type === "welcome") {
        tries = 0;
        remember("session", header.session);
        remember("link", location.hash);
      }
      if (header.type === "state") remember("settings", JSON.stringify(header.settings));
      if (header.type === "refused" && header.of === "hello" && (hello.settings || hello.before)) {
        hello.settings = hello.before = null; // they are of no use
        mine.send(encode(hello));
      }
      if (header.type === "ended") closed = true;
      receive(header, arrays);
    };
    socket.onclose = ({ code, reason }) => {
      if (closed || mine !== socket) return;
      if (reason && (code === 1008 || code === 1013)) {
        closed = true;
        return receive({ type: "ended", text: `The playground has closed this page: ${reason}.` }, {});
      }
      const again = tries < WAITS.length;
      receive({ type: "lost", again }, {});
      if (again) timer = setTimeout(open, WAITS[tries++]);
    };
  }

  open();
  return {
    send(header, bytes) {
      if (socket.readyState === WebSocket.OPEN) socket.send(encode(header, bytes));
    },
    close() {
      closed = true;
      clearTimeout(timer);
      socket.close(1000);
    },
  };
}

// The settings of a link count once: after a reload the session goes on; where it is gone, so does its set-up.
function greeting() {
  const session = remembered("session");
  const fresh = !session || remembered("link") !== location.hash;
  return {
    session,
    settings: fresh ? read(() => decodeURIComponent(location.hash.slice(1))) : null,
    before: session ? read(() => remembered("settings")) : null,
  };
}

function read(text) {
  try {
    const settings = JSON.parse(text());
    return settings && typeof settings === "object" ? settings : null;
  } catch {
    return null;
  }
}

// The keys hold the path: several playgrounds may come from one host.
function remember(name, value) {
  try {
    sessionStorage.setItem(`nineline ${name} ${location.pathname}`, value);
  } catch {
    // Without storage a reload begins anew.
  }
}

function remembered(name) {
  try {
    return sessionStorage.getItem(`nineline ${name} ${location.pathname}`);
  } catch {
    return null;
  }
}
