// The table of all results: DataTables sorts and pages it, lists filter it, and the page's address
// keeps what is chosen, as in all-results.html#Network=MLP&Attack=SAP.
(() => {
  const root = document.getElementById("browse");
  const { headings, filters, opened, columns } =
    JSON.parse(root.querySelector("script").textContent);
  const shown = headings.length - opened;
  const node = (name, attributes = {}, ...inside) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...inside);
    return made;
  };

  // A cell is the position of its value: what has a list is sorted as there, the rest by value.
  const data = columns[0].codes.map((_, row) => columns.map(({ codes }) => codes[row]));
  const settings = headings.map((title, i) => ({
    title,
    name: title,
    data: i,
    visible: i < shown,
    className: i === 0 ? "browse-first" : "",
    render: (code, type) => (type === "sort" && filters.includes(title) ? code : columns[i].values[code]),
  }));
  const source = (_, type, row) => {
    const file = columns.at(-1).values[row.at(-1)];
    const link = `<a href="../_static/networks/${file}" download>csv</a>`;
    return `${link} <button type="button" aria-expanded="false">how made</button>`;
  };
  settings.splice(headings.indexOf("Metric"), 0, { title: "Source", data: null, orderable: false, searchable: false, render: source });
  itables.set_or_remove_dark_class();
  const table = new itables.default(root.querySelector("table"), {
    data,
    columns: settings,
    order: [],
    pageLength: 25,
    deferRender: true,
    autoWidth: false,
    language: { search: "Search all columns" },
  });

  const form = root.querySelector("form");
  const lists = filters.map((title) => {
    const { values } = columns[headings.indexOf(title)];
    const options = values.filter((value) => value !== "").map((value) => new Option(value));
    const list = node("select", { name: title }, new Option("all", ""), ...options);
    form.append(node("label", {}, title, list));
    return list;
  });
  const show = () => {
    lists.forEach(({ name, value }) =>
      table.column(`${name}:name`).search(value, { exact: value !== "" }));
    table.draw();
  };
  const read = () => {
    const chosen = new URLSearchParams(location.hash.slice(1));
    lists.forEach((list) => {
      list.value = chosen.get(list.name) ?? "";
    });
    show();
  };
  form.addEventListener("change", () => {
    const chosen = lists.filter((list) => list.value).map((list) => [list.name, list.value]);
    history.replaceState(null, "", `#${new URLSearchParams(chosen)}`);
    show();
  });
  addEventListener("hashchange", read);
  read();

  table.on("click", "button[aria-expanded]", ({ target }) => {
    const row = table.row(target.closest("tr"));
    const open = !row.child.isShown();
    target.setAttribute("aria-expanded", open);
    if (!open) return row.child.hide();
    const of = Object.fromEntries(headings.map((title, i) => [title, columns[i].values[row.data()[i]]]));
    const lines = ["Records", "Command"].map((title) =>
      node("p", {}, `${title}: `, node("code", {}, of[title])));
    const { title, year, edition } = window.edition;
    const here = new URLSearchParams(filters.map((name) => [name, of[name]]).filter(([, value]) => value));
    lines.push(node("p", {}, `Cite as: The ecgadv authors (${year}). “${of.Metric}: ${of.Value}”, `,
      node("a", { href: `#${here}` }, "this row"), ` of All results in ${title}, ${edition}, ` +
      `from records ${of.Records}. Row: ${filters.map((name) => of[name]).filter(Boolean).join("; ")}.`));
    return row.child(node("div", { className: "browse-more" }, ...lines)).show();
  });
})();
