// The page: what the chat says is shown, what is typed is said.  docs/protocol.rst tells the language.

import { Connection } from "./connection.js";
import { Input } from "./input.js";
import { View } from "./view.js";

const REFRESH_SECONDS = 20; // between looks at the rooms and the people

const find = (id) => document.getElementById(id);
const view = new View();

const chat = {
  me: undefined, // who we are
  room: null, // where we are
  people: new Map(), // who is here: their marks, by name
  more: 0, // how many more than these
  rooms: [], // names and how many are there
  commands: [],
  asked: new Set(), // what the page has asked by itself, and is not to be shown
};

const connection = new Connection(hear, changed);
const input = new Input(find("say"), find("line"), say, words);

// What is said

function say(text) {
  return connection.send({ line: text });
}

function ask(what) { // by the page itself
  if (chat.asked.has(what)) return;
  if (connection.send({ line: `/${what}`, tag: what })) chat.asked.add(what);
}

function words() {
  return [...chat.commands, ...chat.people.keys(), ...chat.rooms.map(([name]) => name)];
}

function enter(name) {
  say(`/join ${name}`);
}

find("start").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = find("name").value.trim();
  if (name && name !== chat.me?.name) say(`/nick ${name}`);
  enter(find("place").value.trim());
});

find("again").addEventListener("click", () => connection.open());

// What is heard

const hearing = {
  you({ who, room }) {
    const wasHere = chat.room?.id;
    const before = { name: chat.me?.name, room: chat.room?.name };
    const isAnother = chat.me && chat.me.person !== who.person;
    chat.me = who;
    chat.room = room;
    view.me(who.name);
    view.room(room);
    if (room?.id !== wasHere) forgetPeople();
    if (isAnother && !room && before.room) returnTo(before);
  },
  said: (line) => shown("said", line, `${line.who.name}: ${line.text}`),
  emoted: (line) => shown("emoted", line, `${line.who.name} ${line.text}`),
  told(line) {
    const own = line.who.person === chat.me.person && line.to.person !== chat.me.person;
    const way = own ? `you → ${line.to.name}` : `${line.who.name} → you`;
    view.said("told", { ...line, who: way, own });
    if (!own) view.read("assertive", `${line.who.name} tells you: ${line.text}`);
  },
  joined(event) {
    chat.people.set(event.who.name, "");
    moved(event, `${event.who.name} joined the room`);
  },
  left(event) {
    chat.people.delete(event.who.name);
    moved(event, `${event.who.name} has left the room${event.reason ? ` (${event.reason})` : ""}`);
  },
  renamed(event) {
    chat.people.set(event.name, chat.people.get(event.who.name) ?? "");
    chat.people.delete(event.who.name);
    moved(event, `${event.who.name} is now known as ${event.name}`);
  },
  topic(event) {
    view.topic(event.text);
    moved(event, `${event.who.name} set the topic: ${event.text}`);
  },
  reported: (event) => moved(event, `${event.who.name} ${event.text}`),
  act: (event) => moved(event, `${event.who.name} ${event.text}`),
  announced(event) {
    const text = `announcement by ${event.who.name}: ${event.text}`;
    view.line("notice", { ...event, who: "", text });
    view.read("assertive", text);
  },
  notice({ text }) {
    if (isAnswer("help") && text.startsWith("/")) chat.commands.push(text.split(/[ ,]/)[0]);
    else if (isAnswer("rooms") && text.startsWith("available rooms")) showRooms([]);
    else view.line("notice", { text });
  },
  refusal({ text }) {
    if (isAnswer("who")) return;
    view.line("refusal", { text });
    view.read("assertive", text);
  },
  listing({ title, names, counts, more }) {
    if (title === "here") {
      chat.people = new Map(names.map(nameAndMark));
      chat.more = more;
      showPeople();
      if (isAnswer("who")) return;
    } else if (title === "available rooms" && isAnswer("rooms")) {
      showRooms(names.map((name, place) => [name, counts[place]]));
      return;
    }
    if (title !== "here") {
      const rest = more ? `, and ${more} more` : "";
      view.line("notice", { text: `${title}: ${names.join(", ")}${rest}` });
    }
  },
  replay({ lines, gap }) {
    if (gap) view.line("notice", { text: "more was said than is shown: /history shows it" });
    for (const line of lines) {
      past(line);
    }
  },
  audit({ deeds }) {
    for (const { time, who, room, text } of deeds) {
      view.line("notice", { time, text: `${who.name} ${text}${room === "*" ? "" : `, in ${room}`}` });
    }
  },
  conceal: ({ on }) => input.conceal(on),
  done: ({ tag }) => chat.asked.delete(tag),
};

function hear(message) {
  hearing[message.type]?.(message);
  if (message.id > (connection.after ?? 0)) connection.after = message.id;
}

function isAnswer(what) {
  return chat.asked.has(what);
}

function shown(kind, line, words) {
  const own = line.who.person === chat.me.person;
  view.said(kind, { ...line, who: line.who.name, own });
  if (!own) view.read("polite", words);
}

function past(line) {
  const who = line.type === "told" ? `${line.who.name} → you` : line.who.name;
  view.line(line.type, { ...line, who, own: line.who.person === chat.me.person });
  if (line.id > (connection.after ?? 0)) connection.after = line.id;
}

function moved(event, text) {
  view.line("moved", { time: event.time, text });
  if (find("announce").checked) view.read("polite", text);
  showPeople();
}

// Who is where

function nameAndMark(listed) { // a name ends at the first blank
  const [name, ...mark] = listed.split(" ");
  return [name, mark.join(" ")];
}

function forgetPeople() {
  chat.people.clear();
  chat.more = 0;
  showPeople();
  ask("rooms");
}

function showPeople() {
  const order = [...chat.people].sort(([one], [other]) => one.localeCompare(other));
  view.people(order, chat.more, (name) => input.begin(`/tell ${name} `));
}

function showRooms(rooms) {
  chat.rooms = rooms;
  view.rooms(rooms, chat.room?.name, enter);
}

function returnTo({ name, room }) { // the chat has forgotten us
  if (chat.me.name !== name) say(`/nick ${name}`);
  connection.send({ line: `/join ${room}`, after: connection.after });
}

// The connection

function changed(state, more) {
  if (state === "open") {
    view.state("");
    chat.asked.clear();
    chat.commands = [];
    ask("help");
    ask("rooms");
  } else if (state === "waiting") {
    view.state(`the connection is lost. trying again in ${Math.ceil(more)} s`);
  } else {
    view.state(`${more || "the connection has ended"}.`, true);
  }
}

setInterval(() => {
  if (document.hidden) return;
  ask("rooms");
  if (chat.room) ask("who");
}, REFRESH_SECONDS * 1000);

find("aside").open = matchMedia("(min-width: 40rem)").matches; // on a telephone it would be in the way
connection.open();
