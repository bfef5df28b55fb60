// What answers the keyboard alone: the search, the table of all results, and what is explored.

import { FIRST_PAGE, listen } from "./look.mjs";

const SOUGHT = "attack"; // a word that the book has
const FARTHEST = 400; // presses of Tab
const SOON = { timeout: 10_000 };
const TABLE = "notebooks/all-results.html";
const EXPLORE = "notebooks/explore.html";

// Try whatever stands on the named pages.
export async function answers(context, { origin, width, names, report }) {
  for (const [name, what, use] of [
    [FIRST_PAGE, "search", search],
    [TABLE, "table", table],
    [EXPLORE, "plots", plots],
    [EXPLORE, "viewer", viewer],
  ]) {
    if (!names.includes(name)) {
      continue;
    }
    const page = await context.newPage();
    const say = (problem) => report(name, problem, `keyboard, ${width} px`);
    listen(page, origin, say);
    await page.setViewportSize({ width, height: 900 });
    await page.goto(`${origin}/${name}`, { waitUntil: "load" });
    try {
      await use(page);
    } catch (error) {
      say(`the ${what} does not answer the keyboard: ${error.message.split("\n")[0]}`);
    }
    await page.close();
  }
}

// From the shortcut to a page that holds the word.
async function search(page) {
  await page.keyboard.press("Control+k");
  await page.waitForFunction(() => document.activeElement?.matches("input[type=search]"));
  await page.keyboard.type(SOUGHT);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#search-results li a");
  await reach(page, "#search-results li a");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => !url.pathname.endsWith("/search.html"));
  if (!(await page.innerText("article")).toLowerCase().includes(SOUGHT)) {
    throw new Error(`a result lacks "${SOUGHT}"`);
  }
}

// Filter, have the address remember it, sort both ways, search, turn the page, open a row.
async function table(page) {
  const info = () => page.innerText("#browse .dt-info");
  const firstCell = (column) => page.innerText(`#browse tbody tr:first-child td:nth-child(${column})`);
  await page.waitForSelector("#browse tbody tr");

  const all = await info();
  await reach(page, "#browse select[name=Defense]");
  await page.keyboard.press("ArrowDown");
  await change(page, "#browse .dt-info", all, "the filter");
  const chosen = await page.inputValue("#browse select[name=Defense]");
  await expect(() => firstCell(1), chosen, "the first row");
  const filtered = await info();
  await page.reload({ waitUntil: "load" });
  await expect(info, filtered, "the table behind its own address");

  await reach(page, "#browse input[type=search]");
  await page.keyboard.type("SAP");
  await change(page, "#browse .dt-info", filtered, "the search field");
  const eps = await page.evaluate(
    () => [...document.querySelectorAll("#browse thead th")].findIndex((h) => h.innerText.trim() === "Value") + 1,
  );
  const header = `#browse thead th:nth-child(${eps})`;
  for (const order of ["ascending", "descending"]) {
    await reach(page, `${header} [role=button], ${header}[tabindex]`);
    await page.keyboard.press("Enter");
    await expect(() => page.getAttribute(header, "aria-sort"), order, "the order");
    const values = await page.locator(`#browse tbody td:nth-child(${eps})`).allInnerTexts();
    const numbers = values.filter((text) => text !== "").map(Number);
    const sign = order === "ascending" ? 1 : -1;
    if (numbers.length < 2 || numbers.some((n, i) => i && sign * (n - numbers[i - 1]) < 0)) {
      throw new Error(`values are not ${order}: ${numbers.slice(0, 5)}`);
    }
  }

  await reach(page, "#browse tbody button[aria-expanded]");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#browse .browse-more", SOON);
  const told = await page.innerText("#browse .browse-more");
  if (!told.includes("ecgadv run")) {
    throw new Error(`an opened row has no command: ${told}`);
  }
  const before = await info();
  await reach(page, "#browse .dt-paging-button.next");
  await page.keyboard.press("Enter");
  await change(page, "#browse .dt-info", before, "the next page");
}

// Each group of boxes changes what is drawn, and the table says so; the same key changes it back.
async function plots(page) {
  for (const plot of ["explore-beats", "explore-recordings"]) {
    for (const [box, key] of [
      ["defense", "Space"],
      ["attack", "Space"],
      ["protocol", "Space"],
      ["weighting", "ArrowDown"],
    ]) {
      await press(page, `#${plot}-${box}`, key, `#${plot} .explore-table`);
      await press(page, `#${plot}-${box}`, key, `#${plot} .explore-table`);
    }
  }
}

// The lists, the slider, and the other set of signals.
async function viewer(page) {
  const said = "#explore-viewer .explore-said";
  for (const [box, key] of [
    ["example", "ArrowDown"],
    ["defense", "ArrowDown"],
    ["attack", "ArrowDown"],
    ["level", "ArrowLeft"],
    ["signals", "ArrowDown"],
  ]) {
    await press(page, `#explore-viewer-${box}`, key, said);
  }
}

async function press(page, control, key, shown) {
  await page.waitForFunction((s) => document.querySelector(s)?.textContent !== "", shown, SOON);
  const before = await page.innerText(shown);
  await reach(page, control, `${control} *`);
  await page.keyboard.press(key);
  await change(page, shown, before, control);
}

async function change(page, selector, before, what) {
  const changed = ([s, text]) => document.querySelector(s).innerText !== text;
  await page.waitForFunction(changed, [selector, before], SOON).catch(() => {
    throw new Error(`${what} changes nothing`);
  });
}

async function expect(read, wanted, what) {
  for (let tries = 0; tries < 50; tries += 1) {
    if ((await read()) === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what} is ${JSON.stringify(await read())}, not ${JSON.stringify(wanted)}`);
}

// Press Tab until the focus is on what matches; a widget's shadow tree counts as its host.
async function reach(page, ...selectors) {
  const there = (s) => document.activeElement?.matches(s) ?? false;
  for (let presses = 0; presses < FARTHEST; presses += 1) {
    if (await page.evaluate(there, selectors.join(", "))) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab does not reach ${selectors[0]}`);
}
