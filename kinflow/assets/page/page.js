// The page of `kinflow serve`: a list of jobs that follows the server's events. uploads.js sends files,
// results.js shows what came of them. Texts of files and of the server are only ever set as text.
"use strict";

const byId = (id) => document.getElementById(id);
const SAID = { waiting: "Waiting", running: "In work", done: "Done", failed: "Failed", cancelled: "Cancelled", broken: "Broken off" };
const LOST = "The server does not answer; this page tries again by itself.";
const jobs = new Map(); // id -> { job, item }

async function begin() {
  const answer = await fetch("/api/jobs");
  const inside = answer.ok;
  byId("entry").hidden = inside;
  byId("work").hidden = !inside;
  if (inside) listen();
}

function listen() {
  const stream = new EventSource("/api/events");
  stream.addEventListener("job", (event) => show(JSON.parse(event.data)));
  stream.addEventListener("gone", (event) => forget(JSON.parse(event.data)));
  stream.onerror = () => say(LOST);
  stream.onopen = () => {
    if (byId("note").textContent === LOST) say("");
    forgetOthers();
  };
}

// A stream that begins anew does not tell of what was deleted in between.
async function forgetOthers() {
  const answer = await fetch("/api/jobs").catch(() => null);
  if (!answer || !answer.ok) return;
  const before = [...jobs.keys()];
  const there = new Set((await answer.json()).map((job) => job.id));
  for (const id of before) if (!there.has(id)) forget(id);
}

// To those who do not see the list change.
const tell = (text) => { byId("told").textContent = text; };
const say = (text) => { byId("note").textContent = text; };

function button(text, action, name) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  if (name) made.setAttribute("aria-label", `${text}: ${name}`);
  made.addEventListener("click", action);
  return made;
}

function show(job) {
  let known = jobs.get(job.id);
  if (!known) {
    const item = byId("job").content.firstElementChild.cloneNode(true);
    known = { item, job: null };
    byId("jobs").prepend(item);
    jobs.set(job.id, known);
  }
  if (known.job && known.job.change >= job.change) return;
  const stateChanged = !known.job || known.job.state !== job.state;
  if (known.job && stateChanged && job.ended_s !== null) tell(`${job.name}: ${sentence(job)}`);
  known.job = job;
  const { item } = known;
  item.className = job.state;
  item.querySelector("h2").textContent = job.name;
  sayWhereAll();
  const bar = item.querySelector("progress");
  bar.hidden = job.state !== "waiting" && job.state !== "running";
  if (job.progress === null) bar.removeAttribute("value"); else bar.value = job.progress;
  bar.setAttribute("aria-label", `Progress of ${job.name}`);
  if (!stateChanged) return;
  picture(item, job);
  people(item, job);
  actions(item, job);
}

// Where one job is changes where others are.
function sayWhereAll() {
  for (const { item, job } of jobs.values()) if (job) item.querySelector(".state").textContent = sentence(job);
}

// Those of this client alone: what others have waiting is not told.
function before(job) {
  const open = [...jobs.values()].filter((known) => known.job && ["waiting", "running"].includes(known.job.state));
  return open.filter((known) => known.job.created_s < job.created_s).length;
}

function sentence(job) {
  if (job.state === "waiting" && before(job)) return `Waiting; ${before(job)} of yours before it`;
  if (job.state === "running") return job.message || SAID.running;
  if (job.state !== "done") return job.message || SAID[job.state];
  const count = (job.summary.people || []).length;
  return `${count === 1 ? "1 person" : `${count} people`}, ${job.summary.seconds} s`;
}

const address = (job, name) => `/api/jobs/${job.id}/files/${encodeURIComponent(name)}`;

function picture(item, job) {
  const place = item.querySelector(".picture");
  place.disabled = job.state !== "done";
  place.setAttribute("aria-label", `Look at ${job.name}`);
  place.onclick = () => open(job);
  const name = job.files.find((file) => file.startsWith("overlay."));
  if (!name) { place.replaceChildren(Object.assign(document.createElement("span"), { textContent: SAID[job.state] })); return; }
  const shown = document.createElement(name.endsWith(".png") ? "img" : "video");
  shown.src = address(job, name);
  shown.onerror = () => place.replaceChildren(Object.assign(document.createElement("span"), { textContent: SAID.done }));
  if (shown.tagName === "IMG") shown.alt = ""; else { shown.muted = true; shown.preload = "metadata"; }
  place.replaceChildren(shown);
}

function people(item, job) {
  const lines = (job.summary.people || []).map((person) => `Person ${person.id}, ${person.height_m.toFixed(2)} m: ${person.says}`);
  const shown = [...lines.slice(0, 6), ...(job.summary.notes || [])];
  if (lines.length > 6) shown.push(`and ${lines.length - 6} more people`);
  item.querySelector(".people").replaceChildren(...shown.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
}

function actions(item, job) {
  const made = [];
  if (job.state === "done") {
    made.push(button("Look", () => open(job), job.name), button("Save", () => open(job, "save"), job.name));
  }
  if (["failed", "broken", "cancelled"].includes(job.state)) made.push(button("Try again", () => ask("POST", `${job.id}/retry`), job.name));
  const ended = job.state !== "waiting" && job.state !== "running";
  made.push(button(ended ? "Delete" : "Cancel", () => ask("DELETE", job.id), job.name));
  const held = item.querySelector(".actions").contains(document.activeElement);
  item.querySelector(".actions").replaceChildren(...made);
  if (held) made[0].focus();
}

async function ask(method, path) {
  const answer = await fetch(`/api/jobs/${path}`, { method }).catch(() => null);
  if (!answer || !answer.ok) say(answer ? (await answer.json().catch(() => ({}))).detail || "That did not work." : "The server does not answer.");
}

function forget(id) {
  const known = jobs.get(id);
  if (known) known.item.remove();
  jobs.delete(id);
  sayWhereAll();
}

byId("entry").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/api/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: byId("token").value }) });
  byId("refused").textContent = answer.ok ? "" : "That is not the token.";
  if (answer.ok) begin();
});
// once all scripts are there
document.addEventListener("DOMContentLoaded", begin);
