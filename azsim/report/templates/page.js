"use strict";
// Values at one instant: the slider, or pointing at any plot, sets it for all plots of the page.
(() => {
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const bar = document.getElementById("cursor-bar");
  const slider = document.getElementById("cursor-time");
  const clock = document.getElementById("cursor-clock");
  const figures = [...document.querySelectorAll("[data-plot]")].map((figure) => ({
    plot: plots[Number(figure.dataset.plot)],
    cursor: figure.querySelector(".cursor"),
    canvas: figure.querySelector(".canvas"),
    values: [...figure.querySelectorAll("[data-curve]")],
  }));

  const digits = (number) => (number < 9.95 ? number.toFixed(1).replace(/\.0$/, "") : number.toFixed(0));
  const thousands = (number) => number.toFixed(0).replace(/\B(?=(\d{3})+$)/g, " ");
  const forms = {
    count: thousands,
    rate: (value) => `${value < 100 ? digits(value) : value.toFixed(0)}/s`,
    percent: (value) => `${(100 * value).toFixed(0)}%`,
    ratio: (value) => value.toFixed(2),
    seconds: (value) => {
      if (value < 0.0009995) return `${digits(value * 1e6)} us`;
      if (value < 0.9995) return `${digits(value * 1e3)} ms`;
      if (value < 120) return `${digits(value)} s`;
      return value < 7200 ? `${digits(value / 60)} min` : `${digits(value / 3600)} h`;
    },
  };
  const two = (number) => String(number).padStart(2, "0");
  const shown = (t) => {
    const hours = Math.floor(t / 3600), rest = `${two(Math.floor(t / 60) % 60)}:${two(Math.floor(t) % 60)}`;
    return hours ? `${hours}:${rest}` : rest;
  };

  const show = (t) => {
    slider.value = t;
    clock.textContent = shown(t);
    slider.setAttribute("aria-valuetext", shown(t));
    for (const { plot, cursor, values } of figures) {
      const point = Math.min(plot.points - 1, Math.max(0, Math.floor((t - plot.start_s) / plot.stride_s)));
      const middle = plot.start_s + (point + 0.5) * plot.stride_s;
      cursor.style.left = `${(100 * (middle - plot.start_s)) / (plot.end_s - plot.start_s)}%`;
      cursor.hidden = false;
      for (const output of values) {
        const value = plot.values[Number(output.dataset.curve)][point];
        output.textContent = value === null ? "-" : forms[plot.form](value);
      }
    }
  };

  slider.min = Math.min(...plots.map((plot) => plot.start_s));
  slider.step = Math.min(...plots.map((plot) => plot.stride_s));
  slider.max = Math.max(...plots.map((plot) => plot.end_s - plot.stride_s));
  slider.value = slider.min;
  slider.addEventListener("input", () => show(Number(slider.value)));
  bar.addEventListener("submit", (event) => event.preventDefault());
  for (const { plot, canvas } of figures) {
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      const t = plot.start_s + share * (plot.end_s - plot.start_s);
      show(Math.min(plot.end_s - plot.stride_s, t));
    };
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", point);
  }
  bar.hidden = false;

  // On paper nothing can be opened.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((one) => (one.open = true));
  });
  addEventListener("afterprint", () => closed.forEach((one) => (one.open = false)));
})();
