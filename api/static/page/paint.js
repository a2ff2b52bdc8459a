// Drawing on the map's canvas: the picture of how dense the songs lie, dots, rings and labels, in the page's colours.

const DENSEST = 150;
/** Over 1: the middle of the picture is fainter than its values, so that what lies on it can be read. */
const GAMMA = 2.2;
const LONGEST = 28;
const MOST_RATIO = 2;
/** The room that the buttons take in the top right corner, in px: page.css. */
const BUTTONS = [44, 116];

/** Returns how to draw on a square canvas; places are in CSS px from its top left corner. */
export function painter(canvas) {
  const context = canvas.getContext("2d");
  let size = 0;
  let colours = {};
  let tinted = null;
  let tintedFor = null;
  /** What is written or drawn already and is not to be written over: [left, top, right, bottom]. */
  let taken = [];

  /** Clear the canvas for a new picture. Returns its size, 0 while it is not shown. */
  function begin() {
    // Without the border: a picture as large as with it would be shrunk into the room within.
    size = canvas.clientWidth;
    if (!size) return 0;
    const ratio = Math.min(MOST_RATIO, devicePixelRatio || 1);
    const pixels = Math.round(size * ratio);
    if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size, size);
    const style = getComputedStyle(canvas);
    // The canvas has these colours in its own style, where the browser works them out for the theme.
    colours = { ink: style.color, quiet: style.caretColor, paper: style.backgroundColor, accent: style.outlineColor };
    taken = [[size - BUTTONS[0], 0, size, BUTTONS[1]]];
    return size;
  }

  /** Draw the picture with its top left corner at x, y and `side` px long. */
  function cloud(picture, x, y, side, alpha) {
    if (tintedFor !== colours.ink) {
      tinted = inked(picture, rgb(colours.ink));
      tintedFor = colours.ink;
    }
    context.globalAlpha = alpha;
    context.drawImage(tinted, x, y, side, side);
    context.globalAlpha = 1;
  }

  /** A colour as three numbers, 0–255, whatever way it is written in. */
  function rgb(colour) {
    const probe = new OffscreenCanvas(1, 1).getContext("2d");
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    return probe.getImageData(0, 0, 1, 1).data;
  }

  function dot(x, y, radius, fill, edge = null) {
    if (x < -20 || y < -20 || x > size + 20 || y > size + 20) return;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = colours[fill];
    context.fill();
    if (edge) {
      context.lineWidth = 1.5;
      context.strokeStyle = colours[edge];
      context.stroke();
    }
  }

  function ring(x, y, radius, colour) {
    context.strokeStyle = colours[colour];
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  }

  /** Let no label come over a dot. */
  function keepFree(x, y) {
    taken.push([x - 6, y - 6, x + 6, y + 6]);
  }

  /** Write at a place, if it is in view and nothing stands there. Returns whether it was written. */
  function label(text, x, y, ink) {
    const { short, at, down, box } = laid(text, x, y, 400);
    const [left, top, right, bottom] = box;
    if (x < 0 || y < 0 || x > size || y > size) return false;
    if (taken.some((other) => left < other[2] && right > other[0] && top < other[3] && bottom > other[1])) return false;
    taken.push(box);
    write(short, at, down, ink);
    return true;
  }

  /** Let no label come over a headline that will be written. */
  function keepFreeFor(text, x, y) {
    taken.push(laid(text, x, y, 600).box);
  }

  /** Write at a place, over whatever stands there. */
  function headline(text, x, y) {
    const { short, at, down } = laid(text, x, y, 600);
    write(short, at, down, "ink");
  }

  function laid(text, x, y, weight) {
    context.font = `${weight} 12px system-ui, sans-serif`;
    context.textAlign = "center";
    const short = text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
    const half = context.measureText(short).width / 2 + 4;
    const at = Math.min(size - half, Math.max(half, x));
    const down = Math.min(size - 8, Math.max(12, y));
    return { short, at, down, box: [at - half, down - 12, at + half, down + 8] };
  }

  function write(text, x, y, ink) {
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = colours.paper;
    context.strokeText(text, x, y + 4);
    context.fillStyle = colours[ink];
    context.fillText(text, x, y + 4);
  }

  return { begin, cloud, dot, ring, keepFree, keepFreeFor, label, headline };
}

/** The picture in one colour: the lighter it was, the less it can be seen through. */
function inked(picture, [red, green, blue]) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const brush = canvas.getContext("2d");
  brush.drawImage(picture, 0, 0);
  const pixels = brush.getImageData(0, 0, picture.width, picture.height);
  const { data } = pixels;
  for (let i = 0; i < data.length; i += 4) data.set([red, green, blue, DENSEST * (data[i] / 255) ** GAMMA], i);
  brush.putImageData(pixels, 0, 0);
  return canvas;
}
