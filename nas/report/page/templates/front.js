"use strict";
// The fronts of all runs, at any number of evaluations.

// Places of what no other place dominates in two lists of values, ascending in the first list.
function frontOf(places, first, second) {
  const sorted = [...places].sort((a, b) => first[a] - first[b] || second[a] - second[b]);
  let best = Infinity;
  return sorted.filter((place) => {
    const better = second[place] < best;
    if (better) best = second[place];
    return better;
  });
}

class FrontChart {
  constructor(root, set, hidden) {
    this.set = set;
    this.hidden = hidden;
    this.other = 1;
    this.root = root;
    this.frame = set.frames.length - 1;
    this.show = { cloud: true, test: false, final: false, published: true };
    const axis = (k) => ({ label: set.objectives[k].label, ends: [...set.views[k].ends], log: set.views[k].log });
    this.axis = axis;
    this.chart = new Chart(root.querySelector(".plot"), {
      height: (width) => Math.min(520, Math.max(320, width * 0.56)),
      x: axis(1),
      y: axis(0),
      zoom: true,
      draw: () => this.draw(),
      under: (_, px, py) => this.under(px, py),
    });
    this.controls();
  }

  get evaluations() {
    return this.set.frames[this.frame];
  }

  alive(run) {
    const now = this.evaluations;
    return run.born.map((_, i) => i).filter((i) => run.born[i] <= now && (run.died[i] < 0 || run.died[i] > now));
  }

  // Where there are many runs, those of a group but the one in the middle step back.
  pale(run) {
    return this.set.runs.length > 8 && !run.middle;
  }

  get atEnd() {
    return this.frame === this.set.frames.length - 1;
  }

  draw() {
    const { chart, set } = this;
    if (this.show.cloud) set.clouds.forEach((cloud, group) => this.cloud(cloud, group));
    set.published.forEach((method) => this.published(method));
    for (const run of [...set.runs].sort((a, b) => a.middle - b.middle)) {
      if (this.hidden.has(run.group)) continue;
      const xs = run.values[this.other], ys = run.values[0];
      const stroke = groupColour(run.group);
      const alive = this.alive(run);
      const line = frontOf(alive, xs, ys);
      chart.line(line.map((i) => xs[i]), line.map((i) => ys[i]), {
        stroke, stairs: true, width: run.middle ? 1.7 : 0.8, dash: groupDash(run.group), alpha: this.pale(run) ? 0.3 : 0.9,
      });
      chart.pen.fillStyle = stroke;
      chart.pen.globalAlpha = this.pale(run) ? 0.4 : 1;
      for (const i of alive) {
        chart.dot(chart.X(xs[i]), chart.Y(ys[i]), this.pale(run) ? 1.2 : 2.6, run.group);
        chart.pen.fill();
      }
      chart.pen.globalAlpha = 1;
      for (const name of ["test", "final"]) if (this.show[name] && this.atEnd) this.again(run, name);
    }
  }

  // Networks of other methods: hollow, in the colour of text.
  published(method) {
    if (!this.show.published || method.other !== this.other) return;
    const { chart } = this;
    const [errors, costs] = method.values;
    chart.pen.strokeStyle = colour("--faint");
    chart.pen.lineWidth = 1.2;
    errors.forEach((error, i) => {
      const x = chart.X(costs[i]), y = chart.Y(error);
      chart.pen.beginPath();
      [[0, -4], [4, 0], [0, 4], [-4, 0]].forEach(([dx, dy]) => chart.pen.lineTo(x + dx, y + dy));
      chart.pen.closePath();
      chart.pen.stroke();
    });
  }

  cloud(cloud, group) {
    if (this.hidden.has(group)) return;
    const { chart } = this;
    const later = groupColour(group), initial = colour("--faint");
    const xs = cloud.values[this.other], ys = cloud.values[0];
    chart.pen.globalAlpha = 0.35;
    xs.forEach((x, i) => {
      if (cloud.counts[i] > this.evaluations) return;
      chart.pen.fillStyle = cloud.initial[i] ? initial : later;
      chart.pen.fillRect(chart.X(x) - 1, chart.Y(ys[i]) - 1, 2, 2);
    });
    chart.pen.globalAlpha = 1;
  }

  again(run, name) {
    const { chart } = this;
    chart.pen.strokeStyle = groupColour(run.group);
    chart.pen.lineWidth = 1;
    for (const [i, error] of Object.entries(run[name] || {})) {
      chart.dot(chart.X(run.values[this.other][i]), chart.Y(error), 3.4, name === "test" ? 2 : 1);
      chart.pen.stroke();
    }
  }

  under(px, py) {
    let best = 24, found = null;
    for (const run of this.set.runs) {
      if (this.hidden.has(run.group)) continue;
      for (const i of this.alive(run)) {
        const x = this.chart.X(run.values[this.other][i]), y = this.chart.Y(run.values[0][i]);
        const distance = Math.hypot(x - px, y - py);
        if (distance < best) {
          best = distance;
          found = [run, i];
        }
      }
    }
    for (const method of this.set.published) {
      if (!this.show.published || method.other !== this.other) continue;
      const [errors, costs] = method.values;
      errors.forEach((error, i) => {
        const distance = Math.hypot(this.chart.X(costs[i]) - px, this.chart.Y(error) - py);
        if (distance < best) {
          best = distance;
          found = [method, i];
        }
      });
    }
    if (found && found[0].method) {
      const [method, i] = found;
      const [errors, costs] = method.values;
      return [`${method.method} ${method.names[i]}, published`, `error on the test images ${short(errors[i])} %`, `${short(costs[i])} M FLOPs`];
    }
    return found && this.describe(...found);
  }

  describe(run, i) {
    const lines = [`${this.set.groups[run.group]}, seed ${run.seed}`];
    this.set.objectives.forEach((o, k) => lines.push(`${o.name} ${short(run.values[k][i])} ${o.unit}`));
    if (run.final && run.final[i] !== undefined) lines.push(`with the final weights ${short(run.final[i])} %`);
    if (run.test && run.test[i] !== undefined) lines.push(`on the test split ${short(run.test[i])} %`);
    lines.push(`iteration ${run.step[i]}, iter_${run.step[i]}/net_${run.index[i]}`);
    lines.push(run.weights[i] < 0 ? "no weights" : `weights ${run.digests[run.weights[i]]}…`);
    lines.push(run.name);
    if (run.configs[i]) lines.push(run.configs[i]);
    return lines;
  }

  controls() {
    const { root } = this;
    const slider = root.querySelector("input[type=range]"), said = root.querySelector("output");
    const play = root.querySelector(".play");
    const tell = () => {
      this.frame = Number(slider.value);
      said.textContent = `${this.evaluations} evaluations`;
      this.chart.redraw();
    };
    const stop = () => {
      clearInterval(this.timer);
      this.timer = undefined;
      play.textContent = "▶ play";
    };
    slider.hidden = said.hidden = play.hidden = this.set.frames.length < 2;
    slider.max = this.set.frames.length - 1;
    slider.value = slider.max;
    slider.addEventListener("input", () => { stop(); tell(); });
    play.addEventListener("click", () => {
      if (this.timer) return stop();
      play.textContent = "❚❚ stop";
      if (this.atEnd) slider.value = 0;
      tell();
      this.timer = setInterval(() => {
        slider.value = Number(slider.value) + 1;
        tell();
        if (this.atEnd) stop();
      }, 140);
    });
    for (const box of root.querySelectorAll("input[type=checkbox]")) {
      this.show[box.value] = box.checked;
      box.addEventListener("change", () => { this.show[box.value] = box.checked; this.chart.redraw(); });
    }
    const pair = root.querySelector("select");
    if (pair) pair.addEventListener("change", () => {
      this.other = Number(pair.value);
      Object.assign(this.chart.spec.x, this.axis(this.other));
      this.chart.home.x = [...this.chart.spec.x.ends];
      this.chart.view(this.chart.home);
    });
    tell();
  }
}
