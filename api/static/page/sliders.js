// Sliders: one value, or a range between two.

import { h } from "./dom.js";

/** How wide a thumb is, in px: page.css. */
const THUMB = 24;

/** One value. told(value): what it is called; done(value): called when it is set. keep: by which the focus is kept. */
export function slider(label, { value, least, most, step, told, keep, done }) {
  const output = h("output", told(value));
  const share = (now) => `${((now - least) / (most - least)) * 100}%`;
  const input = h("input", {
    type: "range",
    min: least,
    max: most,
    step,
    value,
    "data-keep": keep,
    "aria-valuetext": told(value),
    style: { "--to": share(value) },
    oninput: () => {
      output.textContent = told(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
      input.style.setProperty("--to", share(input.value));
    },
    onchange: () => done(Number(input.value)),
  });
  return h("label.field", h("span", label), input, output);
}

/** A range. both: [from, to], or null for all; ends: what least and most are called, or null; done(both). */
export function between(label, { both, least, most, ends, keep, done }) {
  const output = h("output", both ? both.join("–") : "any");
  const told = ends ? ` (${ends.join(" to ")})` : "";
  const inputs = (both || [least, most]).map((value, i) =>
    h("input", {
      type: "range",
      min: least,
      max: most,
      step: 1,
      value,
      "data-keep": `${keep}-${i}`,
      "aria-label": `${label}, ${i ? "at most" : "at least"}${told}`,
      oninput: () => {
        output.textContent = read().join("–");
        fill();
      },
      onchange: () => done(read()[0] <= least && read()[1] >= most ? null : read()),
    }),
  );
  // Either thumb may be drawn past the other.
  const read = () => inputs.map((input) => Number(input.value)).sort((a, b) => a - b);
  const fill = () =>
    read().forEach((value, i) => {
      rail.style.setProperty(i ? "--to" : "--from", `${((value - least) / (most - least)) * 100}%`);
    });
  // The inputs lie on each other and take the pointer with their thumbs alone; a click between moves the nearer one.
  const rail = h(
    "div.two",
    {
      onclick: (event) => {
        if (event.target !== rail) return;
        const box = rail.getBoundingClientRect();
        const share = (event.clientX - box.left - THUMB / 2) / (box.width - THUMB);
        const value = least + Math.min(1, Math.max(0, share)) * (most - least);
        const [near] = inputs.toSorted((a, b) => Math.abs(a.value - value) - Math.abs(b.value - value));
        near.value = value;
        near.dispatchEvent(new Event("change"));
      },
    },
    inputs,
  );
  fill();
  return h(
    "div.field",
    { role: "group", "aria-label": label },
    h("span", { title: ends && ends.join(" to ") }, label),
    rail,
    output,
  );
}
