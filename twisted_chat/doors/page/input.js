// The line that is typed: what was said before, and what begins so.

const KEPT = 100;

export class Input {
  // says: told each line; words: gives the commands and names that there are
  constructor(form, line, says, words) {
    this.line = line;
    this.words = words;
    this.before = [];
    this.place = 0;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit(says);
    });
    line.addEventListener("keydown", (event) => this.press(event));
  }

  submit(says) {
    const text = this.line.value;
    if (!text.trim() || !says(text)) return;
    if (this.line.type !== "password") this.before.push(text);
    this.before.splice(0, this.before.length - KEPT);
    this.place = this.before.length;
    this.line.value = "";
  }

  conceal(on) {
    this.line.type = on ? "password" : "text";
  }

  begin(text) {
    this.line.value = text;
    this.line.focus();
  }

  press(event) {
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      this.recall(event.key === "ArrowUp" ? -1 : 1);
    } else if (event.key === "Tab" && !event.shiftKey && this.complete()) {
      event.preventDefault(); // with nothing to complete, Tab goes on to the next field
    }
  }

  recall(step) {
    this.place = Math.max(0, Math.min(this.before.length, this.place + step));
    this.line.value = this.before[this.place] ?? "";
  }

  complete() {
    const { value, selectionStart: end } = this.line;
    const begin = value.lastIndexOf(" ", end - 1) + 1;
    const typed = value.slice(begin, end).toLowerCase();
    if (!typed) return false;
    const found = this.words().filter((word) => word.toLowerCase().startsWith(typed));
    if (!found.length) return false;
    let common = found[0];
    for (const word of found) {
      while (!word.toLowerCase().startsWith(common.toLowerCase())) common = common.slice(0, -1);
    }
    const after = found.length > 1 ? "" : begin || common.startsWith("/") ? " " : ": ";
    this.line.setRangeText(common + after, begin, end, "end");
    return true;
  }
}
