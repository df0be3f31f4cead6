// Runs the modules of the viewer that need no browser on a viewer.html, and prints what is where:
//   node viewer_run.js ASSETS viewer.html Camera Side frame=12 Follow ...
// For each step: the matrix to clip space, the rotation to the view, who is shown, and in the end the
// vertices, joints and uncertainty of all bodies. Of a clip, frame=12 goes to that row, and Follow
// takes the middle of everybody along.
"use strict";
const fs = require("fs");
const path = require("path");
const [assets, page, ...steps] = process.argv.slice(2);
const names = ["maths.js", "motion.js", "stage.js", "view.js", "shapes.js"];
const code = names.map((name) => fs.readFileSync(path.join(assets, name), "utf8")).join("\n");
global.requestAnimationFrame = (step) => step();
global.cancelAnimationFrame = () => {};
const { stageOf, viewOf, Shapes } = new Function(`"use strict";${code};return { stageOf, viewOf, Shapes };`)();
const scene = JSON.parse(/id="scene">([\s\S]*?)<\/script>/.exec(fs.readFileSync(page, "utf8"))[1]);

const stage = stageOf(scene);
const view = viewOf(stage, () => [640, 480], () => {});
let following = false;
const skin = scene.skin && Shapes.skin(scene.skin);

// What the card makes of bones, weights and a body at rest.
function skinned({ mesh, bones }) {
  const p = mesh.positions, out = new Float32Array(p.length), doubts = [];
  for (let v = 0; v < p.length / 3; v++) {
    let doubt = 0;
    for (let k = 0; k < 8; k++) {
      const w = skin.weights[8 * v + k] / 65535, m = 16 * skin.joints[8 * v + k];
      for (let r = 0; r < 3; r++) {
        const at = m + 4 * r;
        out[3 * v + r] += w * (bones[at] * p[3 * v] + bones[at + 1] * p[3 * v + 1] + bones[at + 2] * p[3 * v + 2] + bones[at + 3]);
      }
      doubt += w * bones[m + 12];
    }
    doubts.push(doubt);
  }
  return { vertices: Array.from(out), doubts };
}

function goTo(row) {
  stage.goTo(stage.motion.seconds[row]);
  view.setRow(row);
  const middle = following ? stage.middleOf(stage.people) : null;
  if (middle) view.setCentre(middle);
}

function choose(name) {
  const there = stage.people.filter((person) => person.shown);
  if (following && name !== "Camera") view.choose(name, there.map((person) => person.joints), stage.middleOf(there), 0);
  else view.choose(name, stage.points, stage.home, 0);
}

const views = {};
let row = 0;
if (stage.motion) goTo(0);
for (const step of steps) {
  const found = /^frame=(\d+)$/.exec(step);
  if (found) goTo(row = Number(found[1]));
  else if (step === "Follow") { following = true; choose("Free"); } else choose(step);
  const { clip, R } = view.matrices();
  views[step] = {
    clip: Array.from(clip), turned: R,
    shown: stage.people.map((person) => person.shown),
    codes: stage.people.map((_, i) => stage.motion ? stage.motion.codeAt(i, row)?.code ?? null : null),
  };
}
const bodies = stage.people.map((person) => ({
  ...(stage.motion ? skinned(person) : { vertices: Array.from(person.mesh.positions), doubts: Array.from(person.mesh.doubts) }),
  joints: Array.from(person.joints ?? []),
  others: person.others.map((other) => ({ vertices: Array.from(other.mesh.positions), weight: other.weight })),
}));
console.log(JSON.stringify({ views, bodies, floor: stage.floor, grid: Shapes.grid(stage).slice(0, 6) }));
