// Starts the page: tables at once, then what needs the data.

/** Fills the pictures of a group of leaves; they are drawings of `hil tree`, whose texts are escaped. */
function showPictures(group, pictures) {
  const holder = group.querySelector(".pictures");
  for (const text of holder.childNodes.length ? [] : pictures[Number(group.dataset.number)] ?? []) {
    holder.append(document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true));
  }
}

/** On paper everything is open and drawn. */
function preparePrint(trends, groups, pictures) {
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const details of closed) details.open = true;
    for (const group of groups) showPictures(group, pictures);
    trends.drawAll();
  });
  window.addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });
}

async function start() {
  document.documentElement.classList.add("has-script");
  enhanceTables();
  const view = document.getElementById("trend-view");
  let data;
  try {
    data = await readData();
  } catch (error) {
    view.append(make("p", {}, `The plots cannot be shown: ${error.message}`));
    return;
  }
  const trends = showTrends(view, data);
  const groups = [...document.querySelectorAll("details.leaves")];
  for (const group of groups) {
    const show = () => { if (group.open) showPictures(group, data.pictures); };
    group.addEventListener("toggle", show);
    show();
  }
  preparePrint(trends, groups, data.pictures);
  const follow = () => {
    const found = /^#trend-(\d+)$/.exec(location.hash);
    if (found) trends.find(Number(found[1]));
  };
  // A link that is followed twice changes no hash, so the click counts.
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("a[href^='#trend-']")) setTimeout(follow);
  });
  window.addEventListener("popstate", follow);
  follow();
  document.documentElement.classList.add("is-ready"); // for tests and screenshots
}

start();
