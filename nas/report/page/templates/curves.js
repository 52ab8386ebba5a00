"use strict";
// Curves of groups of runs: hypervolume, attainment, the surrogate's quality.

function ends(values, least, most) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return [0, 1];
  let low = known[0], high = known[0];
  for (const value of known) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const room = 0.05 * (high - low) || 0.05 * Math.abs(high) || 1;
  return [Math.max(low - room, least ?? -Infinity), Math.min(high + room, most ?? Infinity)];
}

// The curves of some groups; the axis is that of the groups that are shown.
function hypervolumeChart(host, set, members, hidden) {
  const { grid, spread } = set.hypervolume;
  const shown = (group) => members.includes(group) && !hidden.has(group);
  const fit = () => ends(spread.flatMap((rows, group) => (shown(group) ? [...rows[0], ...rows[4]] : [])), 0, 1);
  return new Chart(host, {
    height: (width) => Math.min(420, Math.max(280, width * 0.45)),
    x: { label: "evaluations", ends: ends(grid) },
    y: { label: "hypervolume", ends: fit() },
    fit,
    zoom: true,
    draw: (chart) => {
      spread.forEach((rows, group) => {
        if (!shown(group)) return;
        const fill = groupColour(group);
        chart.band(grid, rows[0], rows[4], { fill, alpha: 0.1, stairs: true });
        chart.band(grid, rows[1], rows[3], { fill, alpha: 0.2, stairs: true });
      });
      for (const run of set.runs) {
        if (!shown(run.group) || run.state === "finished") continue;
        chart.line(run.counts, run.hypervolume, { stroke: groupColour(run.group), width: 1, dash: [2, 3], stairs: true });
      }
      spread.forEach((rows, group) => {
        if (!shown(group)) return;
        chart.line(grid, rows[2], { stroke: groupColour(group), width: 2, dash: groupDash(group), stairs: true });
        const last = rows[2].findLastIndex((value) => value !== null);
        chart.pen.fillStyle = groupColour(group);
        chart.dot(chart.X(grid[last]), chart.Y(rows[2][last]), 3, group);
        chart.pen.fill();
      });
    },
    under: (chart, px) => {
      const wanted = chart.value(px, chart.spec.x, chart.box.left, chart.box.right);
      let i = 0;
      grid.forEach((count, k) => { if (Math.abs(count - wanted) < Math.abs(grid[i] - wanted)) i = k; });
      const said = spread.map((rows, g) => [g, rows]).filter(([g, rows]) => shown(g) && rows[2][i] !== null);
      return said.length && [`${grid[i]} evaluations`, ...said.map(([g, rows]) =>
        `${set.groups[g]}: ${short(rows[2][i])} (${short(rows[0][i])} to ${short(rows[4][i])})`)];
    },
  });
}

// The corners of a surface as a path that leaves the chart at both ends; `errors` and `costs` ascend and descend.
function surfacePath(chart, [errors, costs]) {
  const { box } = chart;
  const points = errors.map((error, i) => [chart.X(costs[i]), chart.Y(error)]).sort((a, b) => a[0] - b[0]);
  if (!points.length) return [];
  const path = [[points[0][0], box.top - 5]];
  points.forEach(([x, y]) => {
    path.push([x, path[path.length - 1][1]]);
    path.push([x, y]);
  });
  path.push([box.right + 5, path[path.length - 1][1]]);
  return path;
}

function attainmentChart(host, set, part, hidden) {
  const x = set.views[part.other], y = set.views[0];
  return new Chart(host, {
    height: (width) => Math.min(440, Math.max(280, width * 0.5)),
    x: { label: set.objectives[part.other].label, ends: [...x.ends], log: x.log },
    y: { label: set.objectives[0].label, ends: [...y.ends], log: y.log },
    zoom: true,
    draw: (chart) => part.groups.forEach((surfaces, group) => {
      if (hidden.has(group)) return;
      const { pen } = chart;
      const [best, median, worst] = ["best", "median", "worst"].map((level) => surfacePath(chart, surfaces[level]));
      const trace = (path) => path.forEach(([px, py]) => pen.lineTo(px, py));
      pen.fillStyle = pen.strokeStyle = groupColour(group);
      pen.globalAlpha = 0.13;
      pen.beginPath();
      trace(best);
      trace([...worst].reverse());
      pen.fill();
      pen.globalAlpha = 1;
      for (const [path, width, dash] of [[best, 0.6, []], [worst, 0.6, []], [median, 2, groupDash(group)]]) {
        pen.lineWidth = width;
        pen.globalAlpha = width > 1 ? 1 : 0.5;
        pen.setLineDash(dash);
        pen.beginPath();
        trace(path);
        pen.stroke();
      }
      pen.setLineDash([]);
      pen.globalAlpha = 1;
    }),
  });
}

function qualityChart(host, set, kind, hidden) {
  const label = [`error (${set.objectives[0].unit})`, "Spearman's rho", "Kendall's tau"][kind];
  const shown = set.quality.filter(Boolean);
  const all = shown.flatMap((quality) => [...quality.values[kind][0], ...quality.values[kind][2]]);
  return new Chart(host, {
    height: 260,
    x: { label: "iteration", ends: ends(shown.flatMap((quality) => quality.steps)) },
    y: { label, ends: kind ? ends([...all, 1], -1, 1.02) : ends([...all, 0], 0) },
    zoom: true,
    draw: (chart) => set.quality.forEach((quality, group) => {
      if (!quality || hidden.has(group)) return;
      const [low, middle, high] = quality.values[kind];
      chart.band(quality.steps, low, high, { fill: groupColour(group), alpha: 0.18 });
      chart.line(quality.steps, middle, { stroke: groupColour(group), width: 1.8, dash: groupDash(group) });
    }),
    under: (chart, px, py) => {
      let best = 24, said = null;
      set.quality.forEach((quality, group) => quality && !hidden.has(group) && quality.steps.forEach((step, i) => {
        const [low, middle, high] = quality.values[kind].map((row) => row[i]);
        if (middle === null) return;
        const distance = Math.hypot(chart.X(step) - px, chart.Y(middle) - py);
        if (distance < best) {
          best = distance;
          said = [set.groups[group], `iteration ${short(step)}`, `${label} ${short(middle)} (${short(low)} to ${short(high)})`];
        }
      }));
      return said;
    },
  });
}
