"use strict";
// A chart on a canvas: axes, lines, bands, dots, what is under the pointer, zoom by dragging. No library: the page
// must open at once from a disk, and draws nothing that is not looked at.

const FONT = "12px system-ui, sans-serif";
const SHAPES = 4;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function groupColour(group) {
  return colour(`--c${group % 8}`);
}

function groupDash(group) {
  return [[], [7, 4], [2, 3], [9, 3, 2, 3]][Math.floor(group / 8) % 4];
}

function short(value) {
  return value === null || value === undefined ? "–" : String(Number(value.toPrecision(4)));
}

function ticks(low, high, log, room) {
  const wanted = Math.max(2, Math.floor(room / 70));
  if (log) {
    for (const parts of [[1, 2, 5], [1, 3], [1]]) {
      const found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
        found.push(...parts.map((part) => part * 10 ** power));
      }
      const inside = found.filter((tick) => tick >= low && tick <= high);
      if (inside.length <= wanted + 1 && inside.length >= 2) return inside;
    }
  }
  const step = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(step));
  const nice = [1, 2, 5, 10].find((factor) => factor * power >= step) * power;
  const found = [];
  for (let tick = Math.ceil(low / nice) * nice; tick <= high + nice * 1e-9; tick += nice) {
    found.push(Number(tick.toPrecision(12)));
  }
  return found;
}

const tip = document.getElementById("tip");

function showTip(lines, x, y) {
  tip.replaceChildren(
    ...lines.map((line, i) => {
      const part = document.createElement(i ? "div" : "strong");
      part.textContent = line;
      return part;
    }),
  );
  tip.hidden = false;
  const left = Math.min(x + 14, window.innerWidth - tip.offsetWidth - 8);
  const top = y + 14 + tip.offsetHeight > window.innerHeight ? y - tip.offsetHeight - 10 : y + 14;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
}

class Chart {
  // spec: height, x and y ({label, ends, log}), draw(chart), under(chart, px, py) -> {lines, x, y} or nothing, zoom.
  constructor(host, spec) {
    this.host = host;
    this.spec = spec;
    this.home = { x: [...spec.x.ends], y: [...spec.y.ends] };
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", host.dataset.label || "");
    host.replaceChildren(this.canvas);
    this.visible = false;
    Chart.watch(this);
    this.listen();
  }

  static watch(chart) {
    new IntersectionObserver((entries) => {
      chart.visible = entries[entries.length - 1].isIntersecting;
      if (chart.visible && chart.stale !== false) chart.paint();
    }, { rootMargin: "150px" }).observe(chart.host);
    new ResizeObserver(() => chart.redraw()).observe(chart.host);
    Chart.all.push(chart);
  }

  redraw() {
    this.stale = true;
    if (!this.visible || this.waiting) return;
    this.waiting = requestAnimationFrame(() => this.paint());
  }

  paint() {
    this.waiting = undefined;
    this.stale = false;
    const width = this.host.clientWidth;
    const height = typeof this.spec.height === "function" ? this.spec.height(width) : this.spec.height;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.height = `${height}px`;
    this.pen = this.canvas.getContext("2d");
    this.pen.scale(ratio, ratio);
    this.pen.font = FONT;
    this.box = { left: 68, top: 10, right: width - 12, bottom: height - 42 };
    if (this.spec.axes !== false) this.axes();
    this.pen.save();
    if (this.spec.axes !== false) {
      this.pen.beginPath();
      this.pen.rect(this.box.left, this.box.top, this.box.right - this.box.left, this.box.bottom - this.box.top);
      this.pen.clip();
    }
    this.spec.draw(this);
    this.pen.restore();
  }

  X(value) {
    return this.place(value, this.spec.x, this.box.left, this.box.right);
  }

  Y(value) {
    return this.place(value, this.spec.y, this.box.bottom, this.box.top);
  }

  place(value, axis, from, to) {
    const scale = axis.log ? Math.log : (v) => v;
    const [low, high] = axis.ends.map(scale);
    return from + ((scale(value) - low) / (high - low)) * (to - from);
  }

  value(pixel, axis, from, to) {
    const [low, high] = axis.log ? axis.ends.map(Math.log) : axis.ends;
    const found = low + ((pixel - from) / (to - from)) * (high - low);
    return axis.log ? Math.exp(found) : found;
  }

  axes() {
    const { pen, box, spec } = this;
    pen.lineWidth = 1;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const tick of ticks(...spec.x.ends, spec.x.log, box.right - box.left)) {
      this.segment(this.X(tick), box.top, this.X(tick), box.bottom, "--grid");
      pen.fillStyle = colour("--soft");
      pen.fillText(short(tick), this.X(tick), box.bottom + 6);
    }
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const tick of ticks(...spec.y.ends, spec.y.log, (box.bottom - box.top) * 1.5)) {
      this.segment(box.left, this.Y(tick), box.right, this.Y(tick), "--grid");
      pen.fillStyle = colour("--soft");
      pen.fillText(short(tick), box.left - 6, this.Y(tick));
    }
    this.segment(box.left, box.bottom, box.right, box.bottom, "--soft");
    this.segment(box.left, box.top, box.left, box.bottom, "--soft");
    pen.fillStyle = colour("--ink");
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    pen.fillText(spec.x.label, (box.left + box.right) / 2, box.bottom + 36);
    pen.save();
    pen.translate(12, (box.top + box.bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(spec.y.label, 0, 0);
    pen.restore();
  }

  segment(x1, y1, x2, y2, name) {
    this.pen.strokeStyle = colour(name);
    this.pen.beginPath();
    this.pen.moveTo(x1, y1);
    this.pen.lineTo(x2, y2);
    this.pen.stroke();
  }

  line(xs, ys, { stroke, width = 1.5, dash = [], alpha = 1, stairs = false }) {
    const { pen } = this;
    pen.save();
    pen.strokeStyle = stroke;
    pen.lineWidth = width;
    pen.globalAlpha = alpha;
    pen.setLineDash(dash);
    pen.beginPath();
    let before = null;
    xs.forEach((x, i) => {
      if (ys[i] === null) {
        before = null;
        return;
      }
      if (before === null) pen.moveTo(this.X(x), this.Y(ys[i]));
      else {
        if (stairs) pen.lineTo(this.X(x), before);
        pen.lineTo(this.X(x), this.Y(ys[i]));
      }
      before = this.Y(ys[i]);
    });
    pen.stroke();
    pen.restore();
  }

  stairs(path) {
    return path.flatMap(([x, y], i) => (i ? [[x, path[i - 1][1]], [x, y]] : [[x, y]]));
  }

  band(xs, low, high, { fill, alpha, stairs = false }) {
    const kept = xs.map((_, i) => i).filter((i) => low[i] !== null && high[i] !== null);
    if (!kept.length) return;
    const { pen } = this;
    pen.save();
    pen.fillStyle = fill;
    pen.globalAlpha = alpha;
    pen.beginPath();
    const above = kept.map((i) => [this.X(xs[i]), this.Y(high[i])]);
    const below = kept.map((i) => [this.X(xs[i]), this.Y(low[i])]);
    const path = stairs ? [this.stairs(above), this.stairs(below)] : [above, below];
    [...path[0], ...path[1].reverse()].forEach(([x, y]) => pen.lineTo(x, y));
    pen.fill();
    pen.restore();
  }

  dot(x, y, size, shape) {
    const { pen } = this;
    pen.beginPath();
    if (shape % SHAPES === 0) pen.arc(x, y, size, 0, 2 * Math.PI);
    else if (shape % SHAPES === 1) pen.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
    else {
      const turn = shape % SHAPES === 2 ? 1 : -1;
      pen.moveTo(x, y - turn * size * 1.2);
      pen.lineTo(x + size * 1.1, y + turn * size * 0.9);
      pen.lineTo(x - size * 1.1, y + turn * size * 0.9);
      pen.closePath();
    }
  }

  listen() {
    const at = (event) => {
      const frame = this.canvas.getBoundingClientRect();
      return [event.clientX - frame.left, event.clientY - frame.top];
    };
    const { canvas, spec } = this;
    canvas.addEventListener("pointermove", (event) => {
      const [px, py] = at(event);
      if (this.from) return this.rubber(px, py);
      const found = this.pen && spec.under && spec.under(this, px, py);
      if (found) showTip(found, event.clientX, event.clientY);
      else tip.hidden = true;
    });
    canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
    if (!spec.zoom) return;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button) return;
      canvas.setPointerCapture(event.pointerId);
      this.from = at(event);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (this.from) this.zoom(this.from, at(event));
      this.from = undefined;
    });
    canvas.addEventListener("dblclick", () => this.view(this.home));
  }

  rubber(px, py) {
    this.paint();
    this.pen.strokeStyle = colour("--ink");
    this.pen.setLineDash([4, 3]);
    this.pen.strokeRect(this.from[0], this.from[1], px - this.from[0], py - this.from[1]);
    this.pen.setLineDash([]);
  }

  zoom([x1, y1], [x2, y2]) {
    if (Math.abs(x2 - x1) < 8 || Math.abs(y2 - y1) < 8) return this.redraw();
    const { box, spec } = this;
    const xs = [Math.min(x1, x2), Math.max(x1, x2)].map((px) => this.value(px, spec.x, box.left, box.right));
    const ys = [Math.max(y1, y2), Math.min(y1, y2)].map((py) => this.value(py, spec.y, box.bottom, box.top));
    this.view({ x: xs, y: ys });
  }

  view(ends) {
    this.spec.x.ends = [...ends.x];
    this.spec.y.ends = [...ends.y];
    this.redraw();
  }
}

Chart.all = [];
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => Chart.all.forEach((chart) => chart.redraw()));
