// What a page must be in both widths: no console error, no failed or remote request, no sideways
// scrolling, no WCAG A or AA violation; the first page is light.

export const FIRST_PAGE = "index.html";
export const WIDTHS = [1280, 390];
const HEIGHT = 900;
const FIRST_PAGE_BYTES = 1e6;
const SETTLING = 600; // by then the theme lets the keyboard reach what scrolls
const RULES = {
  light: {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    // Of level A, but off unless asked for.
    rules: { "label-content-name-mismatch": { enabled: true } },
  },
  // The same elements in other colours.
  dark: { runOnly: { type: "rule", values: ["color-contrast", "link-in-text-block"] } },
};

// Load a page, look at it in each width, and return its links and anchors.
export async function look(page, { origin, name, scheme, report }) {
  let where = scheme;
  const say = (problem) => report(name, problem, where);
  const sizes = listen(page, origin, say);
  for (const width of WIDTHS) {
    where = `${scheme}, ${width} px`;
    await page.setViewportSize({ width, height: HEIGHT });
    if (width === WIDTHS[0]) {
      await page.goto(`${origin}/${name}`, { waitUntil: "load" });
      await page.evaluate(() => window.MathJax?.startup?.promise);
    }
    await page.waitForTimeout(SETTLING);
    for (const wide of await page.evaluate(overflowing)) {
      say(`scrolls sideways: ${wide}`);
    }
    const { violations } = await page.evaluate((options) => window.axe.run(options), {
      ...RULES[scheme],
      resultTypes: ["violations"],
    });
    for (const { id, help, nodes } of violations) {
      const more = nodes.length > 1 ? ` and ${nodes.length - 1} more` : "";
      say(`${id} (${help}): ${nodes[0].target.join(" ")}${more}`);
    }
  }
  const bytes = (await Promise.all(sizes)).reduce((total, size) => total + size, 0);
  if (name === FIRST_PAGE && bytes > FIRST_PAGE_BYTES) {
    say(`loads ${bytes} bytes, more than ${FIRST_PAGE_BYTES}`);
  }
  const theme = await page.evaluate(() => document.documentElement.dataset.theme);
  if (theme !== scheme) {
    say(`is shown in the theme ${theme}`);
  }
  return page.evaluate(() => ({
    links: [...document.querySelectorAll("a[href], area[href]")].map((link) => link.href),
    anchors: [...document.querySelectorAll("[id], a[name]")].map((e) => e.id || e.name),
  }));
}

// Report errors and requests that leave the site; return the sizes of what is loaded.
export function listen(page, origin, say) {
  const sizes = [];
  page.on("console", (message) => {
    if (message.type() === "error") {
      say(`console: ${message.text()}`);
    }
  });
  page.on("pageerror", (error) => say(`script error: ${error.message}`));
  page.on("requestfailed", (request) => {
    if (request.failure()?.errorText !== "net::ERR_ABORTED") { // by a page that is left
      say(`request failed: ${request.url().replace(origin, "")}`);
    }
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
