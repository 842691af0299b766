"use strict";
(() => {
  // A link into a closed part opens it.
  const open = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const part = target && target.querySelector("details");
    if (part) { part.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
  // Paper shows everything.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach(part => { part.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach(part => { part.open = false; }));

  const button = (text, label, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  };
  // Of several samples one at a time; paper shows all.
  document.querySelectorAll(".choices").forEach(all => {
    const parts = [...all.querySelectorAll(":scope > .choice")];
    if (parts.length < 2) { return; }
    const tools = document.createElement("div"), choice = document.createElement("select");
    tools.className = "tools";
    choice.setAttribute("aria-label", "Sample");
    parts.forEach((part, k) => choice.add(new Option(part.dataset.choice, String(k))));
    const show = () => parts.forEach((part, k) => part.classList.toggle("unchosen", k !== choice.selectedIndex));
    choice.addEventListener("change", show);
    const before = button("\u25c0", "previous sample", () => step(-1));
    tools.append(choice, before, button("\u25b6", "next sample", () => step(1)));
    const step = by => { choice.selectedIndex = (choice.selectedIndex + by + parts.length) % parts.length; show(); };
    all.prepend(tools);
    show();
  });
  const short = value => String(Number(value.toPrecision(4)));

  // A raster: part of the time, one layer, and what is under the pointer.
  const raster = svg => {
    const end = Number(svg.dataset.end), height = Number(svg.dataset.height), unit = svg.dataset.unit;
    const panels = [...svg.querySelectorAll("[data-width]")].map(panel => ({
      frame: panel, width: Number(panel.dataset.width), left: Number(panel.getAttribute("x")),
      marks: panel.querySelector("g"),
      times: [...svg.querySelectorAll(`[data-times="${panel.dataset.panel}"] text`)],
      layers: [...panel.querySelectorAll("path[data-name]")],
    }));
    const names = [...svg.querySelectorAll("[data-label]")];
    const layers = panels[0].layers;
    let from = 0, to = end, only = -1;
    const show = () => {
      const sy = only < 0 ? 1 : height / Number(layers[only].dataset.height);
      const ty = only < 0 ? 0 : -Number(layers[only].dataset.top) * sy;
      for (const { width, left, marks, times } of panels) {
        const sx = end / (to - from);
        marks.setAttribute("transform", `translate(${-from / end * width * sx} ${ty}) scale(${sx} ${sy})`);
        times.forEach(text => {
          text.textContent = short(from + (to - from) * (Number(text.getAttribute("x")) - left) / width);
        });
      }
      names.forEach((name, k) => { name.style.display = only < 0 || only === k ? "" : "none"; });
    };
    const zoom = (factor, shift) => {
      const span = Math.min(end, Math.max(end / 1000, (to - from) * factor));
      const middle = (from + to) / 2 + shift * (to - from);
      from = Math.min(Math.max(0, middle - span / 2), end - span);
      to = from + span;
      show();
    };
    const tools = document.createElement("div"), said = document.createElement("output");
    tools.className = "tools";
    const choice = document.createElement("select");
    choice.setAttribute("aria-label", "Layer");
    choice.add(new Option("all layers", "-1"));
    layers.forEach((layer, k) => choice.add(new Option(layer.dataset.name, String(k))));
    choice.addEventListener("change", () => { only = Number(choice.value); show(); });
    tools.append(
      button("+", "zoom in", () => zoom(0.5, 0)), button("\u2212", "zoom out", () => zoom(2, 0)),
      button("\u25c0", "earlier", () => zoom(1, -0.4)), button("\u25b6", "later", () => zoom(1, 0.4)), choice, said);
    svg.parentNode.before(tools);
    const points = new Map();
    const of = path => {
      if (!points.has(path)) {
        points.set(path, [...path.getAttribute("d").matchAll(/M([\d.]+) ([\d.]+)/g)].map(at => [+at[1], +at[2]]));
      }
      return points.get(path);
    };
    svg.addEventListener("pointermove", event => {
      said.textContent = "";
      for (const { frame, width, marks, layers } of panels) {
        const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(marks.getScreenCTM().inverse());
        const box = frame.getBoundingClientRect();
        if (event.clientX < box.left || event.clientX > box.right) { continue; }
        for (const path of layers) {
          const top = Number(path.dataset.top), tall = Number(path.dataset.height), rows = Number(path.dataset.rows);
          if (at.y < top || at.y >= top + tall) { continue; }
          let best = null, least = Infinity;
          for (const [x, y] of of(path)) {
            const off = Math.abs(x - at.x) + Math.abs(y - at.y);
            if (off < least) { [best, least] = [[x, y], off]; }
          }
          if (!best) { said.textContent = `${path.dataset.name}: no spike`; return; }
          const row = Math.min(rows - 1, Math.floor((best[1] - top) / tall * rows));
          const name = path.dataset.rowsNames ? ` (${path.dataset.rowsNames.split("\n")[row]})` : "";
          const neuron = Number(path.dataset.first) + row * Number(path.dataset.every);
          said.textContent = `${path.dataset.name}, neuron ${neuron}${name}, ${short(best[0] / width * end)} ${unit}`;
          return;
        }
      }
    });
  };
  document.querySelectorAll("svg[data-end]").forEach(raster);
})();
