"use strict";
const body = document.querySelector("#rows tbody");
document.querySelectorAll("#rows thead th").forEach((head, column) => {
  // Not a real button: browsers leave those out of the heads that they repeat on paper.
  const sort = () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    document.querySelectorAll("#rows thead th").forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    const rows = Array.from(body.rows, row => [row.cells[column].textContent.trim(), row]);
    rows.sort((a, b) => up ? compare(a[0], b[0]) : compare(b[0], a[0]));
    body.append(...rows.map(row => row[1]));
  };
  head.firstElementChild.addEventListener("click", sort);
  head.firstElementChild.addEventListener("keydown", event => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
  });
});
document.getElementById("only-open").addEventListener("change", event => {
  document.body.classList.toggle("only-open", event.target.checked);
});
