// Light or dark: as the system says, or as chosen. The choice is kept; it says nothing about anybody.

import { byId } from "./dom.js";

const KEY = "balance-gateway.theme";
const THEMES = ["auto", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

function chosen(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === kept) ?? "auto";
  } catch {
    return "auto";
  }
}

export function startTheme(): void {
  const button = byId("theme");
  let theme = chosen();
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Then it lasts as long as the page.
    }
    apply();
  });
  apply();
}
