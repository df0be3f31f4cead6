// The page of `kinflow serve`: uploads, a list that follows the server's events, results to look at.
// Texts of files and of the server are only ever set as text.
"use strict";

const byId = (id) => document.getElementById(id);
const OPTIONS = ["max_people", "fov", "start", "end", "fps"];
const SAID = { waiting: "Waiting", running: "In work", done: "Done", failed: "Failed", cancelled: "Cancelled", broken: "Broken off" };
const LABELS = { "overlay.png": "Overlay", "overlay.webm": "Overlay", "viewer.html": "3D" };
const PARALLEL = 2;
const jobs = new Map(); // id -> { job, item }
const waiting = []; // files that are not sent yet
let sending = 0;

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
  stream.onerror = () => say("The server does not answer; this page tries again by itself.");
  stream.onopen = () => say("");
}

const say = (text) => { byId("note").textContent = text; };

function add(files) {
  for (const file of files) waiting.push({ file, item: pending(file.name) });
  while (sending < PARALLEL && waiting.length) send(waiting.shift());
}

function pending(name) {
  const item = byId("job").content.firstElementChild.cloneNode(true);
  item.querySelector("h2").textContent = name;
  item.querySelector(".state").textContent = "Being sent";
  item.querySelector(".picture").disabled = true;
  byId("jobs").prepend(item);
  return item;
}

async function send({ file, item }) {
  sending += 1;
  try {
    const answer = await post(file, item);
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) { item.remove(); show(told); } else refuse(item, told.detail || `The server says ${answer.status}.`);
  } catch (error) {
    refuse(item, "It could not be sent; is the server there, and the file readable?");
  }
  sending -= 1;
  if (waiting.length) send(waiting.shift());
}

async function post(file, item) {
  const asked = new URLSearchParams({ name: file.name });
  for (const id of OPTIONS) if (byId(id).value !== "") asked.set(id, byId(id).value);
  if (byId("moving_camera").checked) asked.set("moving_camera", "true");
  for (;;) {
    const answer = await fetch(`/api/jobs?${asked}`, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
    if (answer.status !== 429 && answer.status !== 503) return answer;
    const seconds = Number(answer.headers.get("Retry-After")) || 10;
    item.querySelector(".state").textContent = `${(await answer.json()).detail} Sent again in ${seconds} s.`;
    await new Promise((done) => setTimeout(done, seconds * 1000));
  }
}

function refuse(item, sentence) {
  item.classList.add("failed");
  item.querySelector("progress").hidden = true;
  item.querySelector(".picture").hidden = true;
  item.querySelector(".state").textContent = sentence;
  item.querySelector(".actions").replaceChildren(button("Dismiss", () => item.remove()));
}

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
  known.job = job;
  const { item } = known;
  item.className = job.state;
  item.querySelector("h2").textContent = job.name;
  item.querySelector(".state").textContent = sentence(job);
  const bar = item.querySelector("progress");
  bar.hidden = job.state !== "waiting" && job.state !== "running";
  if (job.progress === null) bar.removeAttribute("value"); else bar.value = job.progress;
  bar.setAttribute("aria-label", `Progress of ${job.name}`);
  if (!stateChanged) return;
  picture(item, job);
  people(item, job);
  actions(item, job);
}

function sentence(job) {
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
    made.push(button("Look", () => open(job), job.name));
    for (const name of job.files) if (!LABELS[name] && name !== "people.json") made.push(link(address(job, name), name, job));
    made.push(link(`/api/jobs/${job.id}/results.zip`, "All files (ZIP)", job));
  }
  if (["failed", "broken", "cancelled"].includes(job.state)) made.push(button("Try again", () => ask("POST", `${job.id}/retry`), job.name));
  const ended = job.state !== "waiting" && job.state !== "running";
  made.push(button(ended ? "Delete" : "Cancel", () => ask("DELETE", job.id), job.name));
  item.querySelector(".actions").replaceChildren(...made);
}

function link(href, text, job) {
  const made = Object.assign(document.createElement("a"), { href, textContent: text });
  made.download = "";
  made.setAttribute("aria-label", `Save ${text} of ${job.name}`);
  return made;
}

async function ask(method, path) {
  const answer = await fetch(`/api/jobs/${path}`, { method }).catch(() => null);
  if (!answer || !answer.ok) say(answer ? (await answer.json().catch(() => ({}))).detail || "That did not work." : "The server does not answer.");
}

function forget(id) {
  const known = jobs.get(id);
  if (known) known.item.remove();
  jobs.delete(id);
}

function open(job) {
  const choices = job.files.filter((name) => LABELS[name]).sort((a, b) => (a === "viewer.html" ? -1 : b === "viewer.html" ? 1 : 0));
  byId("title").textContent = job.name;
  const tabs = choices.map((name) => button(LABELS[name], () => stage(job, name)));
  tabs.forEach((tab, i) => { tab.dataset.name = choices[i]; });
  byId("tabs").replaceChildren(...tabs);
  byId("shown").showModal();
  if (choices.length) stage(job, choices[0]);
}

function stage(job, name) {
  const kind = name.endsWith(".html") ? "iframe" : name.endsWith(".png") ? "img" : "video";
  const shown = document.createElement(kind);
  if (kind === "iframe") { shown.title = `3D view of ${job.name}`; shown.setAttribute("sandbox", "allow-scripts"); }
  if (kind === "img") shown.alt = `Bodies over ${job.name}`;
  if (kind === "video") { shown.controls = true; shown.loop = true; shown.setAttribute("aria-label", `Bodies over ${job.name}`); }
  shown.src = address(job, name);
  byId("stage").replaceChildren(shown);
  for (const tab of byId("tabs").children) tab.setAttribute("aria-pressed", String(tab.dataset.name === name));
}

byId("close").addEventListener("click", () => byId("shown").close());
byId("shown").addEventListener("close", () => byId("stage").replaceChildren());
byId("files").addEventListener("change", (event) => { add(event.target.files); event.target.value = ""; });
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && !byId("work").hidden) add(event.dataTransfer.files);
  });
}
byId("entry").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/api/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: byId("token").value }) });
  byId("refused").textContent = answer.ok ? "" : "That is not the token.";
  if (answer.ok) begin();
});
begin();
