// The connection to the chat: it comes back by itself, and says who it was.

const PAUSES = [0.3, 1, 2, 4, 8, 15, 30]; // seconds; the last one again and again
const FINAL = new Map([[1000, "you have left"], [4001, ""], [4002, ""]]); // nobody is to come back by itself

function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function ownKey() { // of this tab, as long as it is there
  const key = sessionStorage.getItem("key") ?? randomKey();
  sessionStorage.setItem("key", key);
  return key;
}

export class Connection {
  // hears: what comes, one object at a time; changed: told "open", "waiting" (with seconds), "over" (with why)
  constructor(hears, changed) {
    this.hears = hears;
    this.changed = changed;
    this.after = undefined; // the id of the last event that is known
    this.failures = 0;
    addEventListener("online", () => this.waiting && this.open());
  }

  open() {
    clearTimeout(this.waiting);
    this.waiting = undefined;
    const url = new URL("ws", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = this.socket = new WebSocket(url);
    socket.onopen = () => {
      socket.send(JSON.stringify({ key: ownKey(), after: this.after }));
      this.changed("open");
    };
    socket.onmessage = ({ data }) => {
      this.failures = 0;
      for (const line of data.split("\n")) if (line) this.hears(JSON.parse(line));
    };
    socket.onclose = ({ code, reason }) => this.closed(code, reason);
  }

  closed(code, reason) {
    if (FINAL.has(code)) {
      this.changed("over", reason || FINAL.get(code));
      return;
    }
    const longest = PAUSES[Math.min(this.failures, PAUSES.length - 1)];
    this.failures += 1;
    const seconds = longest * (0.7 + 0.6 * Math.random()); // or all would come back at once
    this.changed("waiting", seconds);
    this.waiting = setTimeout(() => this.open(), seconds * 1000);
  }

  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }
}
