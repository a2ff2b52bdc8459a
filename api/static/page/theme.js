// Runs before the first paint, so that nobody sees the wrong theme flash by.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("segue.theme");
  } catch {
    // Storage may be forbidden; then the system decides.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
