const search = document.getElementById("search");
const entries = [...document.querySelectorAll(".found")];
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/);
  let count = 0;
  for (const entry of entries) {
    entry.hidden = !words.every((word) => entry.dataset.words.includes(word));
    count += entry.hidden ? 0 : 1;
  }
  document.getElementById("none").hidden = count > 0;
});
