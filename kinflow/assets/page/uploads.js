// Files on their way to the server: two at a time, with progress, and a way out at any moment.
"use strict";

const OPTIONS = ["max_people", "fov", "start", "end", "fps"];
const PARALLEL = 2;
const waiting = []; // files that are not sent yet
let sending = 0;

function add(files) {
  for (const file of files) wait({ file, asked: optionsNow(file), item: pending(file.name), given_up: false });
  sendNext();
}

function wait(upload) {
  upload.item.querySelector(".state").textContent = "To be sent";
  upload.item.querySelector(".actions").replaceChildren(button("Cancel", () => giveUp(upload), upload.file.name));
  waiting.push(upload);
}

function sendNext() {
  while (sending < PARALLEL && waiting.length) send(waiting.shift());
}

// As they are when a file is chosen, whatever is chosen for the next.
function optionsNow(file) {
  const asked = new URLSearchParams({ name: file.name });
  for (const id of OPTIONS) if (byId(id).value !== "") asked.set(id, byId(id).value);
  if (byId("moving_camera").checked) asked.set("moving_camera", "true");
  if (byId("fast").checked) asked.set("fast", "true");
  return asked;
}

function pending(name) {
  const item = byId("job").content.firstElementChild.cloneNode(true);
  item.querySelector("h2").textContent = name;
  item.querySelector("progress").setAttribute("aria-label", `Sending ${name}`);
  item.querySelector(".picture").hidden = true;
  byId("jobs").prepend(item);
  return item;
}

async function send(upload) {
  sending += 1;
  const { item, file } = upload;
  item.className = "";
  item.querySelector("progress").hidden = false;
  try {
    const { status, told } = await posted(upload);
    if (upload.given_up) item.remove();
    else if (status >= 200 && status < 300) { item.remove(); show(told); } else refuse(upload, told.detail || `The server says ${status}.`);
  } catch (error) {
    if (upload.given_up) item.remove();
    else refuse(upload, "It could not be sent; is the server there, and the file readable?");
  }
  sending -= 1;
  sendNext();
}

function giveUp(upload) {
  upload.given_up = true;
  if (waiting.includes(upload)) {
    waiting.splice(waiting.indexOf(upload), 1);
    upload.item.remove();
  }
  upload.stop?.();
}

// Sent until it is taken or refused: while the server has too much to do, it says when to come back.
async function posted(upload) {
  for (;;) {
    const answer = await once(upload);
    if (upload.given_up || (answer.status !== 429 && answer.status !== 503)) return answer;
    upload.item.querySelector(".state").textContent = `${answer.told.detail || "The server is busy."} Sent again in ${answer.again_s} s.`;
    await new Promise((done) => { upload.stop = done; setTimeout(done, answer.again_s * 1000); });
    if (upload.given_up) return answer;
  }
}

// fetch does not tell how much was sent.
function once(upload) {
  const { file, asked, item } = upload;
  const bar = item.querySelector("progress"), state = item.querySelector(".state");
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/jobs?${asked}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      bar.value = event.loaded / event.total;
      const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
      state.textContent = event.loaded < event.total
        ? `Sent ${megabytes(event.loaded)} of ${megabytes(event.total)} MB` : "Sent; the server looks at it";
    });
    request.addEventListener("load", () => {
      let told = {};
      try { told = JSON.parse(request.responseText); } catch (error) { /* an answer of a proxy */ }
      done({ status: request.status, told, again_s: Number(request.getResponseHeader("Retry-After")) || 10 });
    });
    for (const kind of ["error", "abort", "timeout"]) request.addEventListener(kind, failed);
    upload.stop = () => request.abort();
    state.textContent = "Being sent";
    request.send(file);
  });
}

function refuse(upload, sentence) {
  const { item, file } = upload;
  item.className = "failed";
  item.querySelector("progress").hidden = true;
  item.querySelector(".state").textContent = sentence;
  item.querySelector(".actions").replaceChildren(
    button("Try again", () => { wait(upload); sendNext(); }, file.name),
    button("Dismiss", () => item.remove(), file.name),
  );
  tell(`${file.name}: ${sentence}`);
}

byId("files").addEventListener("change", (event) => { add(event.target.files); event.target.value = ""; });
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && !byId("work").hidden) add(event.dataTransfer.files);
  });
}
