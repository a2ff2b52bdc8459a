// Small helpers for making and finding elements. Text is always set as text, never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const the = (id) => document.getElementById(id);

/**
 * Make an HTML element: its name, with classes after dots; then, where there are any, attributes, `on…` listeners and
 * properties in one object; then children. What is null or false is left out.
 */
export function h(name, ...rest) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  const about = isPlain(rest[0]) ? rest.shift() : {};
  return fill(element, about, rest);
}

const isPlain = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Node);

/** A button that does something. */
export const button = (text, onclick, about = {}) => h("button", { type: "button", onclick, ...about }, text);

/** The same for SVG. */
export const s = (tag, about = {}, ...children) => fill(document.createElementNS(SVG, tag), about, children);

function fill(element, about, children) {
  for (const [name, value] of Object.entries(about)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "hidden") element[name] = value;
    else if (name === "style")
      for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Call `action` once things have been quiet for `ms`. */
export function quietly(action, ms) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), ms);
  };
}

/** Say something to screen readers alone. */
export function say(text) {
  the("said").textContent = text;
}

/** Show a message for a while, with at most one thing to do about it. */
export function toast(text, label = null, action = null) {
  const box = h("div", {}, h("span", {}, text));
  const gone = setTimeout(() => box.remove(), label ? 10000 : 4000);
  if (label) {
    box.append(
      h(
        "button",
        {
          type: "button",
          onclick: () => {
            clearTimeout(gone);
            box.remove();
            action();
          },
        },
        label,
      ),
    );
  }
  the("toasts").replaceChildren(box);
}

/** Open a dialog that closes by its button, by Escape, and by a click beside it. */
export function dialog(title, ...content) {
  const box = h(
    "dialog",
    { "aria-label": title },
    h(
      "div",
      { class: "head" },
      h("h2", {}, title),
      h("button", { type: "button", class: "bordered", onclick: () => box.close() }, "Close"),
    ),
    ...content,
  );
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => {
    const at = box.getBoundingClientRect();
    const isInside =
      event.clientX >= at.left && event.clientX <= at.right && event.clientY >= at.top && event.clientY <= at.bottom;
    if (event.target === box && !isInside) box.close();
  });
  document.body.append(box);
  box.showModal();
  return box;
}

/** Render into `container` and give the focus back to what had it (elements are known by data-keep). */
export function rerender(container, ...content) {
  const had = container.contains(document.activeElement);
  const kept = had && document.activeElement.dataset.keep;
  container.replaceChildren(...content.flat(Infinity).filter(Boolean));
  if (had)
    ((kept && container.querySelector(`[data-keep="${CSS.escape(kept)}"]`)) || container).focus({
      preventScroll: true,
    });
}
