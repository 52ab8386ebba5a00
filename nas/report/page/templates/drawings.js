"use strict";
// Gene values as a heat map, and architectures as rows of blocks.

function shade(share) {
  const part = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
  const low = colour("--none"), high = colour("--full");
  const mix = [0, 1, 2].map((i) => Math.round(part(low, i) + (part(high, i) - part(low, i)) * Math.sqrt(share)));
  return `rgb(${mix.join(",")})`;
}

const CELL = 11, GAP = 5;

function geneChart(host, set, group) {
  const { genes, texts, steps, shares } = set.genes[group];
  const tops = [];
  let height = 24;
  shares.forEach((rows) => { tops.push(height); height += rows.length * CELL + GAP; });
  const columns = steps.length + 1;
  const shape = (chart) => {
    const width = chart.host.clientWidth;
    const beside = Math.min(12 + 5.5 * Math.max(...texts.flat().map((text) => text.length)), width * 0.25);
    const left = Math.min(190 + beside, width * 0.5);
    return { left, beside, cell: (width - left - 10) / (columns + 0.5) };
  };
  const place = (column, { left, cell }) => left + cell * (column < columns - 1 ? column : column + 0.5);
  return new Chart(host, {
    height: height + 6, axes: false, x: { ends: [0, 1] }, y: { ends: [0, 1] },
    draw: (chart) => {
      const { pen } = chart, size = shape(chart);
      pen.font = "11px system-ui, sans-serif";
      pen.fillStyle = colour("--soft");
      pen.textBaseline = "middle";
      pen.textAlign = "left";
      pen.fillText(`iteration ${steps[0]}`, size.left, 12);
      if (size.cell * columns > 260) {
        pen.textAlign = "right";
        pen.fillText(`${steps[steps.length - 1]}`, place(columns - 2, size) + size.cell, 12);
      }
      pen.textAlign = "right";
      pen.fillText("front", Math.min(place(columns - 1, size) + size.cell + 8, chart.host.clientWidth), 12);
      const colours = Array.from({ length: 101 }, (_, share) => shade(share / 100));
      shares.forEach((rows, gene) => {
        pen.fillStyle = colour("--ink");
        pen.textAlign = "right";
        pen.fillText(genes[gene], size.left - size.beside, tops[gene] + (rows.length * CELL) / 2, size.left - size.beside - 2);
        pen.fillStyle = colour("--soft");
        pen.font = "9px system-ui, sans-serif";
        rows.forEach((_, value) => {
          pen.fillText(texts[gene][value], size.left - 4, tops[gene] + (rows.length - 0.5 - value) * CELL, size.beside - 6);
        });
        pen.font = "11px system-ui, sans-serif";
        rows.forEach((row, value) => row.forEach((share, column) => {
          pen.fillStyle = colours[share];
          const y = tops[gene] + (rows.length - 1 - value) * CELL;
          pen.fillRect(place(column, size), y, Math.max(size.cell - 0.5, 0.5), CELL - 1);
        }));
      });
    },
    under: (chart, px, py) => {
      const size = shape(chart);
      const gene = tops.findLastIndex((top) => py >= top);
      if (gene < 0 || px < size.left) return null;
      const rows = shares[gene];
      const value = rows.length - 1 - Math.floor((py - tops[gene]) / CELL);
      const column = px >= place(columns - 1, size) ? columns - 1 : Math.floor((px - size.left) / size.cell);
      if (value < 0 || column >= columns) return null;
      const when = column === columns - 1 ? "final fronts" : `from iteration ${steps[column]}`;
      return [genes[gene], `${texts[gene][value]}: ${rows[value][column]} %`, when];
    },
  });
}

const KERNELS = { 1: "--k1", 3: "--k3", 5: "--k5", 7: "--k7" };

function architectureChart(host, layers) {
  const highest = Math.max(1, ...layers.map((layer) => layer.expansion));
  const most = Math.max(...layers.map((layer) => layer.share));
  return new Chart(host, {
    height: 284, axes: false, x: { ends: [0, 1] }, y: { ends: [0, 1] },
    draw: (chart) => {
      const { pen } = chart, width = chart.host.clientWidth, cell = (width - 20) / layers.length;
      const floor = 164, bars = 199, depth = 52;
      pen.font = "11px system-ui, sans-serif";
      let before = "";
      layers.forEach((layer, i) => {
        const x = 10 + i * cell, height = ((layer.expansion || 0.25 * highest) / highest) * 80;
        pen.fillStyle = colour(KERNELS[layer.kernel] || "--k1");
        pen.fillRect(x + cell * 0.12, floor - height, cell * 0.76, height);
        pen.fillStyle = colour("--c1");
        pen.fillRect(x + cell * 0.12, bars, cell * 0.76, (layer.share / most) * depth);
        pen.fillStyle = colour("--ink");
        pen.textAlign = "center";
        if (layer.expansion && cell > 16) pen.fillText(short(layer.expansion), x + cell / 2, floor - height - 4);
        const size = `${layer.outputs} × ${layer.side}²`;
        if (size !== before) {
          pen.save();
          pen.translate(x + cell / 2 + 3, 60);
          pen.rotate(-Math.PI / 2);
          pen.textAlign = "left";
          pen.fillStyle = colour("--soft");
          pen.fillText(size, 0, 0, 56);
          pen.restore();
        }
        before = size;
      });
      pen.textAlign = "left";
      pen.fillStyle = colour("--soft");
      pen.fillText("expansion, by kernel", 10, floor + 14);
      pen.fillText("share of FLOPs", 10, bars + depth + 14);
      let x = width - 10;
      pen.textAlign = "right";
      for (const kernel of [...new Set(layers.map((layer) => layer.kernel))].sort().reverse()) {
        pen.fillStyle = colour("--soft");
        pen.fillText(`${kernel}×${kernel}`, x, floor + 14);
        pen.fillStyle = colour(KERNELS[kernel] || "--k1");
        pen.fillRect(x - 34, floor + 5, 10, 10);
        x -= 46;
      }
    },
    under: (chart, px) => {
      const layer = layers[Math.floor((px - 10) / ((chart.host.clientWidth - 20) / layers.length))];
      return layer && [layer.name, `${layer.outputs} channels of ${layer.side} × ${layer.side}`,
        `kernel ${layer.kernel}, stride ${layer.stride}${layer.expansion ? `, expansion ${layer.expansion}` : ""}`,
        `${layer.share} % of the FLOPs`];
    },
  });
}
