// The accent's hue follows the songs: dark and calm is blue, bright and energetic is amber. Its contrast stays.

/** at: places on the map, [brightness, energy] each 0–1. */
export function tint(places) {
  const root = document.documentElement;
  if (!places.length) {
    root.style.removeProperty("--hue");
    return;
  }
  const mean = (i) => places.reduce((sum, place) => sum + place[i], 0) / places.length;
  const warmth = 0.65 * mean(0) + 0.35 * mean(1);
  // From 265 (blue) by way of violet and red to 70 (amber): the short way round would pass through greens.
  root.style.setProperty("--hue", String(Math.round((265 + warmth * 165) % 360)));
}
