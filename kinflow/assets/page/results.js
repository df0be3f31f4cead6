// What came of a job: the 3D view, the overlay, and the files to save.
"use strict";

const VIEWS = { "viewer.html": "3D", "overlay.png": "Overlay", "overlay.webm": "Overlay" };
const KINDS = [
  [/^scene\.glb$/, "Scene (GLB)", "bodies, motion and camera, for Blender and other 3D programs"],
  [/^person_\d+\.bvh$/, "Motion (BVH)", "for animation programs"],
  [/^overlay\.png$/, "Picture (PNG)", "bodies over the photo"],
  [/^overlay\.(webm|mp4)$/, "Clip (WebM)", "bodies over the clip"],
  [/^viewer\.html$/, "3D view (HTML)", "opens in any browser, without this server"],
  [/^people\.npz$/, "Numbers (NPZ)", "everything, for Python"],
  [/^people\.json$/, "Numbers (JSON)", "everything, as text"],
];

function open(job, wanted) {
  const views = Object.keys(VIEWS).filter((name) => job.files.includes(name));
  byId("title").textContent = job.name;
  const tabs = [...views, "save"].map((name) => {
    const tab = button(VIEWS[name] || "Save", () => stage(job, name));
    tab.dataset.name = name;
    return tab;
  });
  byId("tabs").replaceChildren(...tabs);
  if (!byId("shown").open) byId("shown").showModal();
  stage(job, wanted || views[0] || "save");
}

function stage(job, name) {
  byId("stage").replaceChildren(name === "save" ? downloads(job) : shownOf(job, name));
  for (const tab of byId("tabs").children) tab.setAttribute("aria-pressed", String(tab.dataset.name === name));
}

function shownOf(job, name) {
  const kind = name.endsWith(".html") ? "iframe" : name.endsWith(".png") ? "img" : "video";
  const shown = document.createElement(kind);
  if (kind === "iframe") {
    shown.title = `3D view of ${job.name}`;
    shown.setAttribute("sandbox", "allow-scripts");
    // its keys work at once
    shown.addEventListener("load", () => shown.focus());
  }
  if (kind === "img") shown.alt = `Bodies over ${job.name}`;
  if (kind === "video") {
    Object.assign(shown, { controls: true, loop: true, muted: true, playsInline: true });
    shown.setAttribute("aria-label", `Bodies over ${job.name}`);
    shown.addEventListener("error", () => shown.replaceWith(Object.assign(document.createElement("p"), {
      className: "sorry", textContent: "This browser does not play WebM. Save the clip, or look at it in 3D.",
    })));
  }
  shown.src = address(job, name);
  return shown;
}

function downloads(job) {
  const list = document.createElement("ul");
  list.className = "downloads";
  const rank = (name) => KINDS.findIndex(([pattern]) => pattern.test(name));
  const names = job.files.filter((name) => rank(name) >= 0).sort((a, b) => rank(a) - rank(b));
  const all = [[`/api/jobs/${job.id}/results.zip`, "All files (ZIP)", "in one archive", ""],
    ...names.map((name) => [address(job, name), ...KINDS[rank(name)].slice(1), name])];
  list.replaceChildren(...all.map(([href, label, says, name]) => {
    const link = Object.assign(document.createElement("a"), { href, textContent: label, download: name });
    link.setAttribute("aria-label", `Save ${label} ${name}`.trim());
    const text = Object.assign(document.createElement("span"), { textContent: name ? `${name}: ${says}` : says });
    const item = document.createElement("li");
    item.append(link, text);
    return item;
  }));
  return list;
}

byId("close").addEventListener("click", () => byId("shown").close());
// told of it later, when other results may be shown already
byId("shown").addEventListener("close", () => { if (!byId("shown").open) byId("stage").replaceChildren(); });
