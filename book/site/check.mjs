// Open every rendered page in Chromium, light and dark, wide and narrow: `make check-site`.
//
// What a page must be is in look.mjs, what must answer the keyboard in keyboard.mjs. A link is
// looked up once, in the files.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { answers } from "./keyboard.mjs";
import { FIRST_PAGE, WIDTHS, look } from "./look.mjs";

const BOOK = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const SITE = path.join(path.dirname(BOOK), "_build", "html");
const SCHEMES = ["light", "dark"];
const AT_ONCE = 3; // pages; two cores have work while one page settles
const LEADS_ON = "location.replace("; // stands in the pages of book/moved.py alone
const TIMEOUT = 120_000; // milliseconds, for a busy machine

const found = new Map(); // "page: problem" -> in what looks of the page

function report(name, problem, where) {
  const line = `${name}: ${problem}`;
  found.set(line, new Set([...(found.get(line) ?? []), where]));
}

async function main() {
  const { chromium, browserPath, axe } = await tools();
  if (!existsSync(path.join(SITE, FIRST_PAGE))) {
    fail("no pages yet: run `make book` first");
  }
  const start = Date.now();
  const names = process.argv.length > 2 ? process.argv.slice(2) : pages();
  const { origin, stop } = await serve();
  const browser = await chromium.launch({ executablePath: browserPath });
  const seen = new Map(); // page -> its links and anchors
  try {
    const contexts = {};
    for (const scheme of SCHEMES) {
      contexts[scheme] = await browser.newContext({ colorScheme: scheme });
      contexts[scheme].setDefaultTimeout(TIMEOUT);
      await contexts[scheme].addInitScript(axe);
    }
    // The first page goes first and alone: nothing of it is in a cache yet.
    const looks = names.flatMap((name) => SCHEMES.map((scheme) => ({ name, scheme })));
    const open = async ({ name, scheme }) => {
      const begun = Date.now();
      const page = await contexts[scheme].newPage();
      seen.set(name, await look(page, { origin, name, scheme, report }));
      await page.close();
      console.log(`${name}, ${scheme}: ${seconds(begun)} s`);
    };
    await open(looks.shift());
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (looks.length) await open(looks.shift());
    }));
    for (const width of WIDTHS) {
      const begun = Date.now();
      await answers(contexts.light, { origin, width, names, report });
      console.log(`keyboard, ${width} px: ${seconds(begun)} s`);
    }
  } finally {
    await browser.close();
    stop();
  }
  checkLinks(seen, origin);
  for (const [line, where] of found) {
    const every = where.size === SCHEMES.length * WIDTHS.length;
    console.error(every ? line : `${line} (${[...where].join("; ")})`);
  }
  const about = `${names.length} pages, light and dark, ${WIDTHS.join(" and ")} px`;
  if (found.size) {
    fail(`${found.size} problems in ${about} (${seconds(start)} s)`, 1);
  }
  console.log(`check-site: ${about}: sound (${seconds(start)} s)`);
}

const seconds = (since) => ((Date.now() - since) / 1000).toFixed(1);

function checkLinks(seen, origin) {
  for (const [name, { links }] of seen) {
    for (const target of new Set(links)) {
      const url = new URL(target);
      if (url.origin !== origin) {
        continue;
      }
      const file = decodeURIComponent(url.pathname.slice(1)) || FIRST_PAGE;
      const anchor = decodeURIComponent(url.hash.slice(1));
      // What follows the hash of a filtered table are its filters.
      const named = anchor && !anchor.includes("=") && seen.has(file);
      if (!existsSync(path.join(SITE, file))) {
        report(name, `leads to nothing: ${file}`, "links");
      } else if (named && !seen.get(file).anchors.includes(anchor)) {
        report(name, `leads to no anchor: ${file}#${anchor}`, "links");
      }
    }
  }
}

// Every page but the theme's templates and those that only lead on to another.
function pages() {
  const names = readdirSync(SITE, { recursive: true })
    .map((name) => name.split(path.sep).join("/"))
    .filter((name) => name.endsWith(".html") && !name.startsWith("_static/"))
    .filter((name) => !readFileSync(path.join(SITE, name), "utf8").includes(LEADS_ON));
  return [FIRST_PAGE, ...names.filter((name) => name !== FIRST_PAGE).sort()];
}

async function serve() {
  const port = await new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port: free } = probe.address();
      probe.close(() => resolve(free));
    });
  });
  const server = spawn(process.env.PYTHON ?? "python3", [path.join(BOOK, "serve.py"), port], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  await new Promise((resolve, reject) => {
    server.stdout.once("data", resolve);
    server.once("error", reject);
    server.once("exit", () => reject(new Error(`book/serve.py does not serve port ${port}`)));
  });
  return { origin: `http://localhost:${port}`, stop: () => server.kill() };
}

// The npm packages and the browser; without them there is nothing to do.
async function tools() {
  const browserPath = onPath("chromium", "chromium-browser", "google-chrome");
  if (!browserPath) {
    skip("Chromium is not on PATH");
  }
  try {
    const { chromium } = await import("playwright-core");
    const { default: axe } = await import("axe-core");
    return { chromium, browserPath, axe: axe.source };
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") {
      throw error;
    }
    skip("playwright-core and axe-core are not installed");
  }
}

function onPath(...names) {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  const files = names.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  return files.find((file) => existsSync(file));
}

function skip(why) {
  console.log(`check-site: skipped: ${why}; \`make site-tools\` helps`);
  process.exit(0);
}

function fail(message, status = 2) {
  console.error(`check-site: error: ${message}`);
  process.exit(status);
}

await main();
