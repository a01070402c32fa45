// Light or dark, before anything is drawn: this is the one script that is no module, so that nothing flashes.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => localStorage.getItem("theme");
  const apply = () => {
    root.dataset.theme = stored() ?? (dark.matches ? "dark" : "light");
  };
  window.toggleTheme = () => {
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    // What the system says anyway need not be remembered: the page then follows the system again.
    if ((next === "dark") === dark.matches) localStorage.removeItem("theme");
    else localStorage.setItem("theme", next);
    apply();
  };
  dark.addEventListener("change", apply);
  apply();
})();
