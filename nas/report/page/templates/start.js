"use strict";
// Every chart of the page, from the values that it carries.

const sets = JSON.parse(document.getElementById("data").textContent);

sets.forEach((set, number) => {
  const root = document.getElementById(`set-${number}`);
  const part = (name) => root.querySelector(`[data-chart="${name}"]`);
  const hidden = new Set();
  const charts = [
    new FrontChart(part("front"), set, hidden).chart,
    ...set.hypervolume.panels.flatMap((members, i) => {
      const host = part(`hypervolume-${i}`);
      return host ? [hypervolumeChart(host, set, members, hidden)] : [];
    }),
    ...set.attainment.map((surfaces, i) => attainmentChart(part(`attainment-${i}`), set, surfaces, hidden)),
  ];
  if (set.quality.some(Boolean)) {
    charts.push(...[0, 1, 2].map((kind) => qualityChart(part(`quality-${kind}`), set, kind, hidden)));
  }
  let genes = geneChart(part("genes"), set, 0);
  const choice = root.querySelector("select.genes");
  if (choice) choice.addEventListener("change", () => {
    Chart.all.splice(Chart.all.indexOf(genes), 1);
    genes = geneChart(part("genes"), set, Number(choice.value));
  });
  set.pictures.forEach((layers, i) => layers.length && architectureChart(part(`picture-${i}`), layers));
  for (const button of root.querySelectorAll(".legend button")) {
    const group = Number(button.dataset.group);
    button.addEventListener("click", () => {
      const shown = hidden.has(group);
      if (shown) hidden.delete(group);
      else hidden.add(group);
      button.setAttribute("aria-pressed", String(shown));
      charts.forEach((chart) => {
        if (chart.spec.fit) {
          chart.home.y = chart.spec.fit();
          chart.view(chart.home);
        } else chart.redraw();
      });
    });
  }
});
