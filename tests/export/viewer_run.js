// Runs the script of a viewer.html without a browser and prints what it draws in some views:
//   node viewer_run.js viewer.html Camera Side ...
// For each view: the matrices of the bodies' last draw, and what each buffer holds in the end.
// Of a clip, a name such as frame=12 scrubs to that row, and Follow turns following on.
"use strict";
const fs = require("fs");
const [page, ...names] = process.argv.slice(2);
const scripts = [...fs.readFileSync(page, "utf8").matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g)].map((m) => m[1]);

const buffers = [], last = {};
let bound = null, drawn = 0;
const gl = new Proxy({}, {
  get(_, name) {
    if (name === "getProgramParameter") return () => true;
    if (name === "getUniformLocation") return (_program, uniform) => uniform;
    if (name === "createBuffer") return () => { buffers.push({}); return buffers[buffers.length - 1]; };
    if (name === "bindBuffer") return (_target, made) => { bound = made; };
    if (name === "bufferData") return (_target, data) => { bound.data = Array.from(data); };
    if (name === "drawElements") return () => { drawn += 1; };
    if (name.startsWith("uniform")) {
      return (uniform, ...values) => { last[uniform] = Array.from(values[values.length - 1].length ? values[values.length - 1] : values); };
    }
    return name === name.toUpperCase() ? 1 : () => ({});
  },
});

const elements = {};
function element(id) {
  const listeners = {};
  return {
    id, style: {}, dataset: {}, textContent: id === "scene" ? scripts[0] : "", checked: id !== "follow", value: "92",
    parentElement: {}, clientWidth: 640, clientHeight: 480, width: 640, height: 480, hidden: true,
    getContext: () => gl, append(text) { if (typeof text === "string") this.textContent = text; }, prepend() {},
    setAttribute() {}, setPointerCapture() {},
    addEventListener(kind, action) { listeners[kind] = action; },
    click() { listeners.click?.(); },
    input() { listeners.input?.({ target: this }); },
  };
}
const made = [];
global.document = {
  getElementById: (id) => (elements[id] ??= element(id)),
  createElement: () => { const e = element(""); made.push(e); return e; },
  querySelectorAll: () => [],
};
global.matchMedia = () => ({ matches: true });
global.requestAnimationFrame = (step) => step();
global.cancelAnimationFrame = () => {};
global.devicePixelRatio = 1;
global.ResizeObserver = class { observe() {} };
global.Image = class {};
global.atob = (text) => Buffer.from(text, "base64").toString("latin1");
global.location = { hash: "" };

(0, eval)(scripts[1]);
const views = {};
for (const name of names) {
  drawn = 0;
  const row = /^frame=(\d+)$/.exec(name);
  if (row) {
    elements.time.value = row[1];
    elements.time.input();
  } else if (name === "Follow") {
    elements.follow.checked = true;
    elements.follow.input();
  } else {
    made.find((e) => e.textContent === name).click();
  }
  views[name] = { ...JSON.parse(JSON.stringify(last)), drawn, clock: elements.clock?.textContent };
}
console.log(JSON.stringify({ views, buffers: buffers.map((b) => b.data) }));
