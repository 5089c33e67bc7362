"use strict";
// The page's script: zoom and search in the pictures, the panel, and what is drawn from the data island. Names from a
// model are only ever set as text.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const READABLE = 0.5; // scale below which names in the picture are left out
  const NARROW = 700; // pixels of a picture that starts at a size to read instead of as a whole
  const FIRST = 20; // bars that a chart begins with
  const ZOOM = 1.3;
  const SIZE = { width: 168, height: 38 }; // of an operator in the picture

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value === true) node.setAttribute(key, "");
      else if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value);
    }
    node.append(...children.filter((child) => child !== undefined && child !== null));
    return node;
  }

  const number = (value, digits = 0) =>
    value === undefined || value === null ? "" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const share = (op) => (op.elements ? (op.zeros || 0) / op.elements : undefined);
  const percent = (value) => (value === undefined ? "" : `${number(100 * value, 1)}%`);
  const us = (value, guess) => (value === undefined || value === null ? "" : `${guess ? "~" : ""}${number(value, 1)}`);
  const short = (value) => {
    for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (value >= size) return `${number(value / size, 1)} ${unit}`;
    return number(value);
  };

  class Model {
    constructor(found) {
      this.data = found;
      this.ops = found.operators;
      this.byIndex = new Map(this.ops.map((op) => [op.op, op]));
      this.root = document.getElementById(found.key);
      this.svg = this.root.querySelector(".stage svg");
      this.view = this.svg.querySelector(".view");
      this.panel = this.root.querySelector(".panel");
      this.next = new Map();
      this.previous = new Map();
      for (const [a, b] of found.edges) {
        if (!this.next.has(a)) this.next.set(a, []);
        if (!this.previous.has(b)) this.previous.set(b, []);
        this.next.get(a).push(b);
        this.previous.get(b).push(a);
      }
      this.position = new Map(this.ops.map((op, n) => [op.op, n]));
      this.panel.classList.add("empty");
      this.panel.append(make("p", { class: "faint" }, data.hint));
      this.zoomer = new Zoomer(this.svg, this.view);
      this.buildTools();
      this.listen();
    }

    group(op) {
      return document.getElementById(`${this.data.key}-${op}`);
    }

    // --- the picture -----------------------------------------------------------------------------------------------

    buildTools() {
      const input = make("input", { type: "search", placeholder: "Search names and types", "aria-label": "Search operators" });
      this.found = make("output", { "aria-live": "polite" });
      input.addEventListener("input", () => this.search(input.value));
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && this.hits && this.hits.length) {
          const op = this.hits[this.hit++ % this.hits.length];
          this.select(op, { reveal: true });
        }
      });
      const button = (text, label, act) => make("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
      const marked = this.ops.filter((op) => op.mark === "wrong" || op.mark === "blocker");
      let at = 0;
      const tools = [
        input,
        button("+", "Zoom in", () => this.zoomer.by(ZOOM)),
        button("\u2212", "Zoom out", () => this.zoomer.by(1 / ZOOM)),
        button("Fit", "Show the whole graph", () => this.zoomer.fit()),
      ];
      if (marked.length)
        tools.push(
          button(`Next problem (${marked.length})`, `Next of ${marked.length} problems`, () =>
            this.select(marked[at++ % marked.length], { reveal: true }),
          ),
        );
      this.root.querySelector(".tools").append(...tools, this.found);
    }

    listen() {
      const groups = this.svg.querySelectorAll(".op");
      if (groups.length) groups[0].setAttribute("tabindex", "0");
      const opOf = (target) => {
        const group = target.closest ? target.closest(".op") : null;
        return group && this.byIndex.get(Number(group.id.slice(this.data.key.length + 1)));
      };
      this.svg.addEventListener("click", (event) => {
        const op = opOf(event.target);
        if (op && !this.zoomer.moved) this.select(op);
      });
      this.svg.addEventListener("focusin", (event) => {
        const op = opOf(event.target);
        if (op && event.target.matches(":focus-visible")) this.zoomer.show(event.target);
      });
      this.svg.addEventListener("keydown", (event) => {
        const op = opOf(event.target);
        const keys = { "+": () => this.zoomer.by(ZOOM), "=": () => this.zoomer.by(ZOOM), "-": () => this.zoomer.by(1 / ZOOM), 0: () => this.zoomer.fit() };
        if (op) {
          const place = this.position.get(op.op);
          const beside = (n) => this.ops[place + n] && this.ops[place + n].op;
          Object.assign(keys, {
            ArrowDown: () => this.focus((this.next.get(op.op) || [beside(1)])[0]),
            ArrowUp: () => this.focus((this.previous.get(op.op) || [beside(-1)])[0]),
            ArrowRight: () => this.focus(beside(1)),
            ArrowLeft: () => this.focus(beside(-1)),
            Home: () => this.focus(this.ops[0].op),
            End: () => this.focus(this.ops[this.ops.length - 1].op),
            Enter: () => this.select(op, { enter: true }),
            " ": () => this.select(op, { enter: true }),
          });
        }
        if (keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
          event.preventDefault();
          keys[event.key]();
        }
      });
      this.panel.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && this.selected !== undefined) this.focus(this.selected);
      });
      const strip = this.root.querySelector(".ribbon svg");
      if (strip)
        strip.addEventListener("click", (event) => {
          const box = strip.getBoundingClientRect();
          const at = Math.floor((this.ops.length * (event.clientX - box.left)) / box.width);
          if (this.ops[at]) this.select(this.ops[at], { reveal: true });
        });
      for (const link of this.root.querySelectorAll("a.to-op"))
        link.addEventListener("click", (event) => {
          const op = this.byIndex.get(Number(link.getAttribute("href").slice(this.data.key.length + 2)));
          if (!op) return;
          event.preventDefault();
          this.root.querySelector(".tools").scrollIntoView({ block: "start" });
          this.select(op, { reveal: true, enter: true });
        });
    }

    focus(op) {
      const group = op === undefined ? null : this.group(op);
      if (!group) return;
      for (const other of this.svg.querySelectorAll('.op[tabindex="0"]')) other.setAttribute("tabindex", "-1");
      group.setAttribute("tabindex", "0");
      group.focus({ preventScroll: true });
      this.zoomer.show(group);
    }

    search(text) {
      const wanted = text.trim().toLowerCase();
      const matches = (op) => [op.name, op.type, `#${op.op}`, ...(op.kernels || [])].some((part) => part.toLowerCase().includes(wanted));
      this.hits = wanted ? this.ops.filter(matches) : [];
      this.hit = 0;
      const hits = new Set(this.hits.map((op) => op.op));
      this.view.classList.toggle("searching", Boolean(wanted));
      for (const op of this.ops) {
        const group = this.group(op.op);
        if (group) group.classList.toggle("hit", hits.has(op.op));
      }
      this.found.textContent = wanted ? `${this.hits.length} found${this.hits.length ? "; Enter shows one after the other" : ""}` : "";
    }

    select(op, { reveal = false, enter = false } = {}) {
      if (this.selected !== undefined) {
        const before = this.group(this.selected);
        if (before) before.classList.remove("selected");
      }
      this.selected = op.op;
      const group = this.group(op.op);
      if (group) {
        group.classList.add("selected");
        if (reveal) this.zoomer.show(group, true);
      }
      if (this.table) this.table.mark(op.op);
      this.fillPanel(op);
      if (enter) this.panel.focus({ preventScroll: true });
    }

    // --- the panel -------------------------------------------------------------------------------------------------

    fillPanel(op) {
      const facts = [
        ["Type", `${op.type} #${op.op}`],
        ["Runs", data.kernels[op.runs]],
        ["Kernel", (op.kernels || []).join(", ")],
        ["Partition", op.partition === undefined ? "" : String(op.partition)],
        ["Reads", (op.inputs || []).join("; ")],
        ["Writes", (op.outputs || []).join("; ")],
        ["Weights", op.weights || ""],
        ["Zeros", op.elements ? `${percent(share(op))} (${number(op.zeros || 0)} of ${number(op.elements)})` : ""],
        ["MACs", op.macs ? short(op.macs) + (op.sparse_macs < op.macs ? `, ${short(op.sparse_macs)} with weights that are not zero` : "") : ""],
        ...this.data.series.map((series, n) => [series.title, (op.times || [])[n] === undefined || op.times[n] === null ? "" : `${us(op.times[n], op.guess)} \u00b5s`]),
      ];
      const list = make("dl");
      for (const [title, value] of facts) if (value) list.append(make("dt", {}, title), make("dd", {}, value));
      const parts = [make("h4", {}, op.name || op.type), list];
      for (const words of op.wrong || []) parts.push(make("p", { class: "bad" }, `Goes wrong: ${words}.`));
      if (op.cluster !== undefined) parts.push(make("h5", {}, "Its cluster"), make("p", {}, this.data.clusters[op.cluster].words));
      for (const place of op.findings || []) {
        const finding = this.data.findings[place];
        const rule = data.rules[finding.rule];
        parts.push(
          make("h5", {}, make("span", { class: `badge ${finding.severity}` }, finding.severity), ` ${finding.rule} ${finding.name}`),
          make("p", {}, finding.what),
          finding.fix ? make("p", {}, finding.fix) : null,
        );
        if (rule) parts.push(make("p", { class: "source" }, rule.summary), make("ul", { class: "source" }, ...rule.sources.map((source) => make("li", {}, source))));
      }
      this.panel.classList.remove("empty");
      this.panel.replaceChildren(...parts.filter(Boolean));
      this.panel.scrollTop = 0;
    }
  }

  // --- zoom ----------------------------------------------------------------------------------------------------------

  // The identity shows the whole picture, since its viewBox is the whole; so it prints well without the script, too.
  class Zoomer {
    constructor(svg, view) {
      this.svg = svg;
      this.view = view;
      this.pointers = new Map();
      this.places = [...svg.querySelectorAll(".op")].map((group) => {
        const matrix = group.transform.baseVal.getItem(0).matrix;
        return { group, x: matrix.e, y: matrix.f, near: false };
      });
      view.classList.add("quick");
      this.box = svg.viewBox.baseVal;
      this.x = this.y = 0;
      this.scale = 1;
      this.moved = false;
      this.measure();
      if (this.width && this.width < NARROW && this.base < 0.8) {
        this.scale = 0.8 / this.base;
        const corner = this.corner();
        this.x = corner.x;
        this.y = corner.y;
      }
      this.apply();
      svg.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      svg.addEventListener("pointerdown", (event) => this.down(event));
      svg.addEventListener("pointermove", (event) => this.move(event));
      for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, (event) => this.up(event));
      new ResizeObserver(() => this.apply()).observe(svg);
    }

    measure() {
      const bounds = this.svg.getBoundingClientRect();
      this.width = bounds.width;
      this.height = bounds.height;
      this.base = Math.min(bounds.width / this.box.width, bounds.height / this.box.height) || 1;
    }

    // Screen to picture, without the zoom.
    point(x, y) {
      const bounds = this.svg.getBoundingClientRect();
      return {
        x: this.box.width / 2 + (x - bounds.left - bounds.width / 2) / this.base,
        y: this.box.height / 2 + (y - bounds.top - bounds.height / 2) / this.base,
      };
    }

    // The shift that puts the picture's upper left corner into that of the frame.
    corner() {
      return { x: this.box.width / 2 - this.width / 2 / this.base, y: this.box.height / 2 - this.height / 2 / this.base };
    }

    apply() {
      this.measure();
      this.view.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
      const readable = this.scale * this.base >= READABLE;
      this.view.classList.toggle("far-away", !readable);
      // A browser lays all text out again at every step, which takes long; so there is only what can be read.
      const corner = this.corner();
      const right = corner.x + this.width / this.base;
      const bottom = corner.y + this.height / this.base;
      for (const place of this.places) {
        const x = this.x + place.x * this.scale;
        const y = this.y + place.y * this.scale;
        const near = readable && x < right && y < bottom && x + SIZE.width * this.scale > corner.x && y + SIZE.height * this.scale > corner.y;
        if (near !== place.near) place.group.classList.toggle("near", (place.near = near));
      }
    }

    fit() {
      this.x = this.y = 0;
      this.scale = 1;
      this.apply();
    }

    by(factor, at) {
      this.measure();
      const about = at || { x: this.box.width / 2, y: this.box.height / 2 };
      const scale = Math.min(Math.max(this.scale * factor, 0.5), 4 / this.base);
      this.x = about.x - ((about.x - this.x) * scale) / this.scale;
      this.y = about.y - ((about.y - this.y) * scale) / this.scale;
      this.scale = scale;
      this.apply();
    }

    // Brings an operator to the middle where it is outside of the frame, or always; large enough to be read.
    show(group, always = false) {
      const seen = group.getBoundingClientRect();
      const frame = this.svg.getBoundingClientRect();
      const inside = seen.left >= frame.left && seen.right <= frame.right && seen.top >= frame.top && seen.bottom <= frame.bottom;
      this.measure();
      if (inside && this.scale * this.base >= READABLE && !always) return;
      this.scale = Math.max(this.scale, 0.9 / this.base);
      const matrix = group.transform.baseVal.getItem(0).matrix;
      this.x = this.box.width / 2 - this.scale * (matrix.e + SIZE.width / 2);
      this.y = this.box.height / 2 - this.scale * (matrix.f + SIZE.height / 2);
      this.apply();
    }

    // Without Ctrl the wheel moves the page, unless the picture was clicked.
    wheel(event) {
      if (!event.ctrlKey && !event.metaKey && !this.svg.contains(document.activeElement)) return;
      event.preventDefault();
      this.by(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), this.point(event.clientX, event.clientY));
    }

    down(event) {
      this.pointers.set(event.pointerId, event);
      this.moved = false;
    }

    move(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const [first, second] = [...this.pointers.values()];
      if (Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY) < 3 && !this.moved) return;
      if (!this.moved) this.svg.setPointerCapture(event.pointerId);
      this.moved = true;
      this.svg.classList.add("dragging");
      this.measure();
      if (second) {
        const other = first.pointerId === event.pointerId ? second : first;
        const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
        this.by(apart(event) / Math.max(apart(before), 1), this.point((event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2));
      } else {
        this.x += (event.clientX - before.clientX) / this.base;
        this.y += (event.clientY - before.clientY) / this.base;
        this.apply();
      }
      this.pointers.set(event.pointerId, event);
    }

    up(event) {
      this.pointers.delete(event.pointerId);
      this.svg.classList.remove("dragging");
    }
  }

  // --- the table -----------------------------------------------------------------------------------------------------

  class Table {
    constructor(model) {
      this.model = model;
      this.columns = [
        { title: "#", value: (op) => op.op, numeric: true },
        { title: "Name", value: (op) => op.name },
        { title: "Type", value: (op) => op.type },
        { title: "Runs", value: (op) => data.kernels[op.runs] },
        { title: "Kernel", value: (op) => (op.kernels || []).join(", ") },
        { title: "Writes", value: (op) => (op.outputs || []).join("; ") },
        { title: "Weights", value: (op) => op.weights || "" },
        { title: "Zeros", value: share, text: (op) => percent(share(op)), numeric: true },
        { title: "MACs", value: (op) => op.macs || undefined, text: (op) => (op.macs ? short(op.macs) : ""), numeric: true },
        ...model.data.series.map((series, n) => ({
          title: `\u00b5s ${series.title}`,
          value: (op) => ((op.times || [])[n] === null ? undefined : (op.times || [])[n]),
          text: (op) => us((op.times || [])[n], op.guess),
          numeric: true,
        })),
        { title: "Problem", value: (op) => (op.mark ? data.marks[op.mark] : "") },
      ].filter((column) => model.ops.some((op) => ![undefined, ""].includes(column.value(op))));
      this.filter = make("input", { type: "search", placeholder: "Filter", "aria-label": "Filter the table" });
      this.kind = make("select", { "aria-label": "Who runs it" }, make("option", { value: "" }, "All"));
      for (const [key, title] of Object.entries(data.kernels))
        if (model.ops.some((op) => op.runs === key)) this.kind.append(make("option", { value: key }, title));
      this.count = make("output", { "aria-live": "polite" });
      this.filter.addEventListener("input", () => this.fill());
      this.kind.addEventListener("change", () => this.fill());
      this.heads = this.columns.map((column) =>
        make("th", { scope: "col", class: column.numeric ? "number" : null }, make("button", { type: "button", onclick: () => this.sort(column) }, column.title)),
      );
      this.body = make("tbody");
      const frame = make(
        "div",
        { class: "wide", tabindex: 0, role: "group", "aria-label": "Operators" },
        make("table", {}, make("caption", {}, "Operators"), make("thead", {}, make("tr", {}, ...this.heads)), this.body),
      );
      model.root.querySelector(".operators").append(make("h3", {}, "Operators"), make("div", { class: "tools" }, this.filter, this.kind, this.count), frame);
      this.rows = new Map(model.ops.map((op) => [op.op, this.row(op)]));
      this.fill();
    }

    row(op) {
      const cells = this.columns.map((column) => {
        const text = column.text ? column.text(op) : String(column.value(op));
        if (column.title === "Name")
          return make("th", { scope: "row" }, make("button", { type: "button", onclick: () => this.model.select(op, { reveal: true, enter: true }) }, text || op.type));
        return make("td", { class: column.numeric ? "number" : null }, text);
      });
      return make("tr", {}, ...cells);
    }

    sort(column) {
      this.descending = this.sorted === column ? !this.descending : Boolean(column.numeric && column.title !== "#");
      this.sorted = column;
      this.columns.forEach((other, n) => {
        if (other === column) this.heads[n].setAttribute("aria-sort", this.descending ? "descending" : "ascending");
        else this.heads[n].removeAttribute("aria-sort");
      });
      this.fill();
    }

    fill() {
      const wanted = this.filter.value.trim().toLowerCase();
      const text = (op) => this.columns.map((column) => (column.text ? column.text(op) : column.value(op))).join(" ").toLowerCase();
      let ops = this.model.ops.filter((op) => (!this.kind.value || op.runs === this.kind.value) && (!wanted || text(op).includes(wanted)));
      if (this.sorted) {
        const value = this.sorted.value;
        const side = this.descending ? -1 : 1;
        // What has no figure stands at the end, whichever way.
        const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
        const missing = (a) => a === undefined || a === "";
        ops = ops
          .map((op) => [value(op), op])
          .sort(([a], [b]) => (missing(a) || missing(b) ? Number(missing(a)) - Number(missing(b)) : side * compare(a, b)))
          .map(([, op]) => op);
      }
      this.count.textContent = `${ops.length} of ${this.model.ops.length}`;
      this.body.replaceChildren(...ops.map((op) => this.rows.get(op.op)));
    }

    mark(op) {
      if (this.marked) this.marked.classList.remove("selected");
      this.marked = this.rows.get(op);
      if (this.marked) this.marked.classList.add("selected");
    }
  }

  // --- bars ----------------------------------------------------------------------------------------------------------

  function bar(label, title, fills, value, threshold) {
    const track = make("div", { class: `track${fills.length > 1 ? " two" : ""}` });
    for (const [part, kind] of fills) {
      const fill = make("div", { class: `fill ${kind}` });
      fill.style.width = `${(100 * part).toFixed(2)}%`;
      track.append(fill);
    }
    if (threshold) {
      const line = make("div", { class: "threshold" });
      line.style.left = `${(100 * threshold).toFixed(2)}%`;
      track.append(line);
    }
    return [make("span", { class: "label", title }, label), track, make("span", { class: "value" }, value)];
  }

  function chart(model, title, key, rows, more) {
    if (!rows.length) return;
    const bars = make("div", { class: "bars" });
    const section = make("section", { class: "chart" }, make("h3", {}, title), key, bars);
    const show = (count) => bars.replaceChildren(...rows.slice(0, count).flatMap((row) => row()));
    show(FIRST);
    if (rows.length > FIRST) {
      const button = make("button", { type: "button" }, `Show all ${more || rows.length}`);
      button.addEventListener("click", () => {
        show(rows.length);
        button.remove();
      });
      section.append(button);
    }
    model.root.querySelector(".charts").append(section);
  }

  function zerosChart(model) {
    const weighted = model.ops.filter((op) => op.pointwise && op.elements);
    const groups = new Map();
    const alone = { words: model.data.alone, passes: false };
    for (const op of weighted) {
      const cluster = op.cluster === undefined ? alone : model.data.clusters[op.cluster];
      // What is said of several clusters is said once.
      if (!groups.has(cluster.words)) groups.set(cluster.words, [cluster.passes, []]);
      groups.get(cluster.words)[1].push(op);
    }
    const rows = [];
    for (const [words, [passes, ops]] of groups) {
      rows.push(() => [make("p", { class: "cluster" }, words)]);
      for (const op of ops)
        rows.push(() => bar(op.name, op.name, [[share(op), passes ? "passes" : "lacks"]], percent(share(op)), data.threshold));
    }
    const key = make("p", { class: "faint" }, "The red line is at two thirds; a cluster as a whole must be above it.");
    chart(model, "Zeros of 1x1 weights", key, rows, weighted.length);
  }

  function seriesKey(titles, kinds) {
    return make("ul", { class: "series" }, ...titles.map((title, n) => make("li", {}, make("span", { class: `fill ${kinds[n]}` }), title)));
  }

  function timesChart(model) {
    const series = model.data.series;
    if (!series.length) return;
    const times = (op) => series.map((_, n) => (op.times || [])[n] || 0);
    const ops = model.ops.filter((op) => Math.max(...times(op)) > 0).sort((a, b) => Math.max(...times(b)) - Math.max(...times(a)));
    const most = ops.length ? Math.max(...times(ops[0])) : 1;
    const totals = series.map((one, n) => [one.title, one.total, n]).filter(([, total]) => total);
    const highest = Math.max(...totals.map(([, total]) => total), 1);
    const rows = totals.map(([title, total, n]) => () => bar(`Whole run, ${title}`, title, [[total / highest, `s${n % 4}`]], total < 1000 ? `${us(total)} \u00b5s` : `${number(total / 1000, 2)} ms`));
    for (const op of ops)
      rows.push(() => bar(op.name, op.name, times(op).map((time, n) => [time / most, `s${n % 4}`]), `${times(op).map((time) => us(time, op.guess)).join(" / ")} \u00b5s`));
    const kinds = series.map((_, n) => `s${n % 4}`);
    chart(model, "Time by operator", seriesKey(series.map((one) => one.title), kinds), rows, ops.length);
  }

  function macsChart(model) {
    const ops = model.ops.filter((op) => op.macs).sort((a, b) => b.macs - a.macs);
    if (!ops.length) return;
    const sum = (key) => ops.reduce((total, op) => total + op[key], 0);
    const dense = sum("macs");
    const both = (op, most) => [[op.macs / most, "s0"], [(op.sparse_macs || 0) / most, "s1"]];
    const rows = [() => bar("Whole run", "Whole run", both({ macs: dense, sparse_macs: sum("sparse_macs") }, dense), `${short(dense)} / ${short(sum("sparse_macs"))}`)];
    for (const op of ops) rows.push(() => bar(op.name, op.name, both(op, ops[0].macs), `${short(op.macs)} / ${short(op.sparse_macs || 0)}`));
    chart(model, "Multiply-accumulates by operator", seriesKey(["dense", "without those that SpMM skips"], ["s0", "s1"]), rows, ops.length);
  }

  // --- all of it: pictures first, what stands below once they are painted -----------------------------------------------

  const models = data.models.map((found) => new Model(found));
  const later = models.flatMap((model) => [zerosChart, timesChart, macsChart, (one) => (one.table = new Table(one))].map((step) => () => step(model)));
  const step = () => {
    const next = later.shift();
    if (next) next();
    if (later.length) setTimeout(step);
    else document.documentElement.dataset.ready = "yes";
  };
  requestAnimationFrame(() => setTimeout(step));
  addEventListener("beforeprint", () => {
    while (later.length) later.shift()();
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
})();
