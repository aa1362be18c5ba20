// Reads an AsyncAPI document with the official parser and says what is wrong with it.
//
// node asyncapi.mjs FOLDER-OF-NODE-MODULES DOCUMENT

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [, , folder, path] = process.argv;
const { Parser } = createRequire(resolve(folder, "any.cjs"))("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(await readFile(path, "utf8"));
// 0 is an error, 1 a warning. Hints, such as that there is a later version of AsyncAPI, are none of ours.
const wrong = diagnostics.filter(({ severity }) => severity <= 1);
for (const { code, message, path: at } of wrong) console.error(`${code} at ${at.join(".")}: ${message}`);
process.exitCode = document && wrong.length === 0 ? 0 : 1;
