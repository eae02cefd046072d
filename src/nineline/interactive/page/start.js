// The page that `nineline playground` serves.

import { connect } from "./connection.js";
import { mount } from "./main.js";

mount(document.body, connect, { whole: true });
window.addEventListener("hashchange", () => location.reload());
