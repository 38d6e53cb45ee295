// What is seen: all of it is text, never HTML.

const KEPT = 2000; // lines in the conversation
const LINK = /\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/g;

const find = (id) => document.getElementById(id);

function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function withLinks(text) {
  const all = make("span");
  all.dir = "auto";
  let end = 0;
  for (const { 0: url, index } of text.matchAll(LINK)) {
    const link = make("a", "", url);
    link.href = url;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    all.append(text.slice(end, index), link);
    end = index + url.length;
  }
  all.append(text.slice(end));
  return all;
}

export class View {
  constructor() {
    this.log = find("log");
    this.unread = 0;
    this.title = "chat";
    document.addEventListener("visibilitychange", () => this.seen());
  }

  // The conversation

  line(kind, { time, who, text, own = false }) {
    const stays = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 40;
    const line = make("p", own ? `${kind} own` : kind);
    const date = new Date((time ?? Date.now() / 1000) * 1000);
    const shown = make("time", "", date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    shown.dateTime = date.toISOString();
    shown.title = date.toLocaleString();
    line.append(shown);
    if (who) line.append(make("bdi", "who", who), " ");
    line.append(withLinks(text));
    this.log.append(line);
    while (this.log.childElementCount > KEPT) this.log.firstElementChild.remove();
    if (stays || own) this.log.scrollTop = this.log.scrollHeight;
  }

  said(kind, line) { // what others say counts as unread while nobody looks
    if (document.hidden && !line.own) {
      if (!this.unread) this.mark();
      this.unread += 1;
      this.retitle();
    }
    this.line(kind, line);
  }

  mark() {
    this.log.querySelector(".new")?.remove();
    this.log.append(make("p", "new", "new"));
  }

  seen() {
    if (!document.hidden) {
      this.unread = 0;
      this.retitle();
    }
  }

  read(where, text) { // to those who cannot see it
    const region = find(where);
    region.textContent = region.textContent === text ? `${text} ` : text;
  }

  // Around it

  state(text, canRetry = false) {
    find("state").textContent = text;
    find("again").hidden = !canRetry;
  }

  me(name) {
    find("me").textContent = name ? `you are ${name}` : "";
  }

  room(room) {
    this.title = room ? room.name : "chat";
    find("room").textContent = this.title;
    find("start").hidden = Boolean(room);
    this.topic(room ? room.topic : "");
    this.retitle();
  }

  topic(text) {
    find("topic").textContent = text;
  }

  retitle() {
    document.title = this.unread ? `(${this.unread}) ${this.title}` : this.title;
  }

  rooms(rooms, here, enter) {
    find("rooms").replaceChildren(...rooms.map(([name, count]) => {
      const button = this.entry(name, count === undefined ? "" : String(count), "count");
      if (name === here) button.setAttribute("aria-current", "true");
      button.onclick = () => enter(name);
      return this.item(button);
    }));
  }

  people(people, more, tell) {
    find("count").textContent = people.length + more ? `(${people.length + more})` : "";
    find("people").replaceChildren(...people.map(([name, mark]) => {
      const button = this.entry(name, mark, "mark");
      button.onclick = () => tell(name);
      return this.item(button);
    }));
  }

  entry(name, more, kind) {
    const button = make("button");
    button.type = "button";
    button.append(make("bdi", "", name), " ", make("span", kind, more));
    return button;
  }

  item(child) {
    const item = make("li");
    item.append(child);
    return item;
  }
}
