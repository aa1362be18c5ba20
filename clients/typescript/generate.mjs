// Writes src/contract.ts, the types of the wire, from the gateway's own contract in docs/. With --check, says whether what is committed
// there is what the contract gives.
//
// Small, because it needs to know only the words of JSON Schema that the contract uses; any other is an error.

import { readFile, writeFile } from "node:fs/promises";

const target = new URL("src/contract.ts", import.meta.url);
const BANNER = "// The words on the wire. Made from docs/openapi.json and docs/asyncapi.json by `npm run contract` in clients/; do not edit.\n";
/** Longest line of a comment. */
const WIDTH = 128;
/** What tells a value's bounds, which TypeScript cannot say. */
const SILENT = ["description", "format", "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "pattern", "required"];

const read = async (name) => JSON.parse(await readFile(new URL(`../../docs/${name}`, import.meta.url), "utf8")).components.schemas;

function type(schema, indent) {
  const known = ["$ref", "additionalProperties", "anyOf", "const", "enum", "items", "oneOf", "properties", "type", ...SILENT];
  const unknown = Object.keys(schema).filter((word) => !known.includes(word));
  if (unknown.length > 0) throw new Error(`words of JSON Schema that are new here: ${unknown}`);
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((choice) => type(choice, indent)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (Array.isArray(schema.type)) return schema.type.map((one) => type({ ...schema, type: one }, indent)).join(" | ");
  switch (schema.type) {
    case undefined: return "unknown";
    case "integer": return "number";
    case "array": return list(type(schema.items, indent));
    case "object": return schema.properties ? object(schema, indent) : map(schema.additionalProperties, indent);
    default: return schema.type;
  }
}

function list(of) {
  return `readonly ${of.includes(" ") ? `(${of})` : of}[]`;
}

function map(of, indent) {
  return `{ readonly [name: string]: ${of === undefined || of === true ? "unknown" : type(of, indent)} }`;
}

function object({ properties, required = [] }, indent) {
  const fields = Object.entries(properties).map(([name, schema]) => {
    const key = /^\w+$/.test(name) ? name : JSON.stringify(name);
    return `${comment(schema.description, `${indent}  `)}${indent}  readonly ${key}${required.includes(name) ? "" : "?"}: ${type(schema, `${indent}  `)};\n`;
  });
  return `{\n${fields.join("")}${indent}}`;
}

function comment(text, indent) {
  if (!text) return "";
  const one = `${indent}/** ${text} */\n`;
  if (one.length <= WIDTH) return one;
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    if (`${indent} * ${lines.at(-1)} ${word}`.length > WIDTH) lines.push("");
    lines[lines.length - 1] += `${lines.at(-1) ? " " : ""}${word}`;
  }
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join("")}${indent} */\n`;
}

function declaration([name, schema]) {
  const head = `\n${comment(schema.description, "")}export `;
  if (schema.properties) return `${head}interface ${name} ${object(schema, "")}\n`;
  const of = type(schema, "");
  const one = `${head}type ${name} = ${of};\n`;
  if (!schema.oneOf || one.split("\n").every((line) => line.length <= WIDTH)) return one;
  return `${head}type ${name} =${of.split(" | ").map((choice) => `\n  | ${choice}`).join("")};\n`;
}

const schemas = Object.entries({ ...(await read("openapi.json")), ...(await read("asyncapi.json")) });
const text = BANNER + schemas.sort(([a], [b]) => (a < b ? -1 : 1)).map(declaration).join("");

if (!process.argv.includes("--check")) {
  await writeFile(target, text);
} else if ((await readFile(target, "utf8").catch(() => "")) !== text) {
  console.error("clients/typescript/src/contract.ts is not what docs/*.json give; run `npm run contract` in clients/");
  process.exitCode = 1;
}
