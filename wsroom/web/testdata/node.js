// Runs the tests of the modules under Node.js.
import { readFile } from "node:fs/promises";
import { run } from "./unit.js";

const results = await run((name) => readFile(`wire/${name}`, "utf8"));
for (const { name, error } of results) {
  console.log(error ? `FAIL ${name}: ${error}` : `ok   ${name}`);
}
process.exit(results.every(({ error }) => !error) ? 0 : 1);
