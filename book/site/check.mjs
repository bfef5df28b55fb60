// Open every rendered page in Chromium, light and dark, wide and narrow: `make check-site`.
//
// No console error, no failed or remote request, no sideways scrolling, no WCAG A or AA violation;
// each link and anchor resolves; the search answers the keyboard; the first page is light.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";

const BOOK = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const SITE = path.join(path.dirname(BOOK), "_build", "html");
const SCHEMES = ["light", "dark"];
const WIDTHS = [1280, 390];
const FIRST_PAGE = "index.html";
const FIRST_PAGE_BYTES = 1e6;
const SETTLING = 600; // by then the theme lets the keyboard reach what scrolls
const LEADS_ON = "location.replace("; // stands in the pages of book/moved.py alone
const TIMEOUT = 120_000; // milliseconds, for a busy machine
const SOUGHT = "attack"; // a word that the book has
const AXE = {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
  // Of level A, but off unless asked for.
  rules: { "label-content-name-mismatch": { enabled: true } },
  resultTypes: ["violations"],
};

const found = new Map(); // "page: problem" -> in what looks of the page

function report(name, problem, ...where) {
  const line = `${name}: ${problem}`;
  found.set(line, new Set([...(found.get(line) ?? []), ...where]));
}

async function main() {
  const { chromium, browserPath, axe } = await tools();
  if (!existsSync(path.join(SITE, "index.html"))) {
    fail("no pages yet: run `make book` first");
  }
  const names = process.argv.length > 2 ? process.argv.slice(2) : pages();
  const { origin, stop } = await serve();
  const browser = await chromium.launch({ executablePath: browserPath });
  const links = new Map();
  const variants = SCHEMES.flatMap((scheme) => WIDTHS.map((width) => ({ scheme, width })));
  try {
    for (const { scheme, width } of variants) {
      const viewport = { width, height: 900 };
      const context = await browser.newContext({ colorScheme: scheme, viewport });
      context.setDefaultTimeout(TIMEOUT);
      await context.addInitScript(axe);
      const visit = { origin, scheme, where: `${scheme}, ${width} px` };
      await read(context, names, { ...visit, links });
      await search(context, visit);
      await context.close();
    }
  } finally {
    await browser.close();
    stop();
  }
  checkLinks(links, origin);
  for (const [line, where] of found) {
    const every = where.size === variants.length || !where.size;
    console.error(every ? line : `${line} (${[...where].join("; ")})`);
  }
  if (found.size) {
    fail(`${found.size} problems in ${names.length} pages`, 1);
  }
  console.log(`check-site: ${names.length} pages, light and dark, ${WIDTHS.join(" and ")} px: sound`);
}

// Load the pages one after another; report what is wrong, and note their links and anchors.
async function read(context, names, { origin, scheme, where, links }) {
  const page = await context.newPage();
  let name = names[0];
  const say = (problem) => report(name, problem, where);
  const sizes = listen(page, origin, say);
  for (name of names) {
    await page.goto(`${origin}/${name}`, { waitUntil: "networkidle" });
    if (name === FIRST_PAGE) {
      const bytes = (await Promise.all(sizes)).reduce((total, size) => total + size, 0);
      if (bytes > FIRST_PAGE_BYTES) {
        say(`loads ${bytes} bytes, more than ${FIRST_PAGE_BYTES}`);
      }
    }
    await page.waitForTimeout(SETTLING);
    const theme = await page.evaluate(() => document.documentElement.dataset.theme);
    if (theme !== scheme) {
      say(`is shown in the theme ${theme}`);
    }
    for (const wide of await page.evaluate(overflowing)) {
      say(`scrolls sideways: ${wide}`);
    }
    const { violations } = await page.evaluate((options) => window.axe.run(options), AXE);
    for (const { id, help, nodes } of violations) {
      const more = nodes.length > 1 ? ` and ${nodes.length - 1} more` : "";
      say(`${id} (${help}): ${nodes[0].target.join(" ")}${more}`);
    }
    const seen = await page.evaluate(() => ({
      links: [...document.querySelectorAll("a[href], area[href]")].map((link) => link.href),
      anchors: [...document.querySelectorAll("[id], a[name]")].map((e) => e.id || e.name),
    }));
    links.set(name, seen);
  }
  await page.close();
}

// Report errors and requests that leave the site; return the sizes of what is loaded.
function listen(page, origin, say) {
  const sizes = [];
  page.on("console", (message) => {
    if (message.type() === "error") {
      say(`console: ${message.text()}`);
    }
  });
  page.on("pageerror", (error) => say(`script error: ${error.message}`));
  page.on("requestfailed", (request) => {
    say(`request failed: ${request.url().replace(origin, "")}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith("data:") && !url.startsWith("blob:")) {
      say(`remote request: ${url}`);
    }
  });
  page.on("response", (response) => {
    if (response.status() >= 400) {
      say(`${response.status()}: ${response.url().replace(origin, "")}`);
    }
  });
  page.on("requestfinished", (request) => {
    sizes.push(request.sizes().then((size) => size.responseBodySize));
  });
  return sizes;
}

// In the page: what makes it wider than the window, if it is.
function overflowing() {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) {
    return [];
  }
  const reaching = [...document.body.querySelectorAll("*")].filter((element) => {
    for (let box = element.parentElement; box; box = box.parentElement) {
      if (box !== document.body && getComputedStyle(box).overflowX !== "visible") {
        return false;
      }
    }
    return element.getBoundingClientRect().right > root.clientWidth + 1;
  });
  const inner = reaching.filter((one) => !reaching.some((two) => one !== two && one.contains(two)));
  const names = inner.slice(0, 3).map((e) => `${e.tagName.toLowerCase()}.${e.className}`);
  return [`${root.scrollWidth} px by ${names.join(", ") || "something positioned"}`];
}

// Search with the keyboard alone, from the shortcut to a page that holds the word.
async function search(context, { origin, where }) {
  const page = await context.newPage();
  const say = (problem) => report("search", problem, where);
  listen(page, origin, say);
  await page.goto(`${origin}/${FIRST_PAGE}`, { waitUntil: "networkidle" });
  try {
    await page.keyboard.press("Control+k");
    await page.waitForFunction(() => document.activeElement?.matches("input[type=search]"));
    await page.keyboard.type(SOUGHT);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#search-results li a");
    const onResult = () => document.activeElement?.closest("#search-results li") !== null;
    for (let presses = 0; presses < 200 && !(await page.evaluate(onResult)); presses += 1) {
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => !url.pathname.endsWith("/search.html"));
    if (!(await page.innerText("article")).toLowerCase().includes(SOUGHT)) {
      say(`leads to ${page.url().replace(origin, "")}, which lacks "${SOUGHT}"`);
    }
  } catch (error) {
    say(`does not answer the keyboard: ${error.message.split("\n")[0]}`);
  }
  await page.close();
}

function checkLinks(links, origin) {
  for (const [name, { links: targets }] of links) {
    for (const target of new Set(targets)) {
      const url = new URL(target);
      if (url.origin !== origin) {
        continue;
      }
      const file = decodeURIComponent(url.pathname.slice(1)) || FIRST_PAGE;
      const anchor = decodeURIComponent(url.hash.slice(1));
      if (!existsSync(path.join(SITE, file))) {
        report(name, `leads to nothing: ${file}`);
      } else if (anchor && links.has(file) && !links.get(file).anchors.includes(anchor)) {
        report(name, `leads to no anchor: ${file}#${anchor}`);
      }
    }
  }
}

// Every page but the theme's templates and those that only lead on to another, the first page first: nothing of it is in a cache yet.
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
