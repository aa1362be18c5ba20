// Bundles the page's script into the gateway's sources. With --check, says whether what is committed there is what the sources give.
// Not minified: the page that holds the token can be read by whoever wants to trust it.

import { readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const target = new URL("../../src/server/dashboard/app.js", import.meta.url);
const { outputFiles } = await build({
  entryPoints: [new URL("src/main.ts", import.meta.url).pathname],
  bundle: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  charset: "utf8",
  banner: { js: "// Built from clients/dashboard by `npm run build` there; edit its sources instead." },
  write: false,
});
const [{ text }] = outputFiles;
if (!process.argv.includes("--check")) {
  await writeFile(target, text);
} else if (await readFile(target, "utf8") !== text) {
  console.error("src/server/dashboard/app.js is not what clients/dashboard/src gives; run `npm run build` in clients/");
  process.exitCode = 1;
}
