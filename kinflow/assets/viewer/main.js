// Puts the viewer together: what there is to see, who draws it, and the controls.
const canvas = document.getElementById("view");
const byId = (id) => document.getElementById(id);
const say = (text) => { byId("status").textContent = text; };
const gl = canvas.getContext("webgl", { antialias: true, stencil: true, alpha: true, premultipliedAlpha: true });

function begin() {
  const stage = stageOf(JSON.parse(byId("scene").textContent));
  const { people, motion, scene } = stage;
  if (motion) stage.goTo(0);
  const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  const pictures = scene.clip ? scene.clip.pictures : [];
  let pictured = -1, asked = 0, seen = "Camera", following = false, player = null;

  // Whatever changes within a frame is drawn once.
  const draw = () => { asked ||= requestAnimationFrame(() => { asked = 0; painter.paint(view.matrices(), panel.told()); }); };
  const view = viewOf(stage, () => [canvas.width, canvas.height], draw);
  const panel = panelOf(stage, byId, draw, say);
  const painter = painterOf(gl, canvas, stage, draw);
  if (scene.photo) painter.show(scene.photo);

  // Who views are about: the selected person, or everybody.
  const chosen = () => panel.selected() < 0 ? people : [people[panel.selected()]];
  function pointsAndMiddle() {
    if (following) {
      const there = chosen().filter((person) => person.shown);
      return [there.map((person) => person.joints), stage.middleOf(chosen()) ?? stage.home];
    }
    if (panel.selected() < 0) return [stage.points, stage.home];
    const { low, high } = Maths.boundsOf([stage.points[panel.selected()]]);
    return [[stage.points[panel.selected()]], low.map((v, a) => (v + high[a]) / 2)];
  }

  function mark(name) {
    seen = name;
    for (const button of byId("views").children) button.setAttribute("aria-pressed", String(button.dataset.name === name));
  }

  function choose(name) {
    if (name === "Camera") setFollowing(false);
    mark(name);
    view.choose(name, ...(name === "Camera" ? [stage.points, stage.home] : pointsAndMiddle()), isStill() ? 0 : 450);
    say(`${name} view`);
  }

  function setFollowing(wanted) {
    following = wanted;
    byId("follow").checked = wanted;
  }

  function follow(wanted) {
    setFollowing(wanted);
    choose(seen === "Camera" ? "Free" : seen);
    say(wanted ? `Follows ${chosen().map((person) => person.name).join(", ")}` : "Follows nobody");
  }

  // While the clip plays the centre glides after people, who may come into view and leave it.
  function showMoment(s, row, isPlaying) {
    stage.goTo(s);
    view.setRow(row);
    const middle = following ? stage.middleOf(chosen()) : null;
    if (middle) (isPlaying ? view.glideTo : view.setCentre)(middle);
    const latest = pictures.reduce((found, p, i) => p.row <= row ? i : found, -1);
    if (latest >= 0 && latest !== pictured) {
      pictured = latest;
      byId("pictured").textContent = `of frame ${scene.clip.first + pictures[latest].row}`;
      painter.show(pictures[latest].url);
    }
    panel.describe(panel.selected() < 0 ? null : motion.codeAt(panel.selected(), row));
    draw();
  }

  function reset() {
    player?.reset();
    panel.reset();
    choose("Camera");
    say("Everything as it was");
  }

  function togglePanel(wanted = byId("panel").hidden) {
    byId("panel").hidden = !wanted;
    byId("panel-toggle").setAttribute("aria-expanded", String(wanted));
    resize();
  }

  function resize() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    player?.drawMarks(panel.selected());
    // at once, for a canvas of another size is empty
    painter.paint(view.matrices(), panel.told());
  }

  const views = Object.keys(ANGLES);
  for (const name of views) {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    made.dataset.name = name;
    made.addEventListener("click", () => choose(name));
    byId("views").append(made);
  }
  mark("Camera");

  if (motion) {
    player = playerOf(stage, byId, showMoment, say);
    byId("follow").addEventListener("input", () => follow(byId("follow").checked));
    panel.onSelect((i) => {
      player.drawMarks(i);
      player.goTo(player.now());
    });
    player.goTo(0);
  }

  const loop = () => { byId("loop").click(); say(byId("loop").checked ? "Loops" : "Stops at the end"); };
  const actions = { choose, reset, loop, follow: () => follow(!following), panel: () => togglePanel(), help: () => byId("help").showModal() };
  const keys = keysOf({ views, view, panel, player, actions });
  explain(keys);
  const pick = (x, y) => {
    const ratio = canvas.width / canvas.clientWidth;
    panel.select(painter.pick(view.matrices(), x * ratio, y * ratio));
  };
  handsOf(canvas, { view, draw, pick, keys, turned: () => mark("Free") });
  byId("reset").addEventListener("click", reset);
  byId("panel-toggle").addEventListener("click", () => togglePanel());
  byId("help-toggle").addEventListener("click", actions.help);
  // no form does it, since forms are off in the sandbox of a server
  byId("help-close").addEventListener("click", () => byId("help").close());
  canvas.setAttribute("aria-label", `3D view of ${people.length === 1 ? "1 person" : `${people.length} people`}; arrow keys turn it, the question mark lists all keys`);
  // a card that lost what it held begins anew
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => location.reload());
  togglePanel(innerWidth > 720);
  new ResizeObserver(resize).observe(canvas);
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (ANGLES[wanted]) choose(wanted);
}

// The list of keys, from what they do.
function explain(keys) {
  const SAID = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };
  const shown = (key) => key.split("+").map((part) => SAID[part] ?? part).join(" ").trim() || key;
  byId("keys").replaceChildren(...keys.map(({ keys: names, says }) => {
    const row = document.createElement("div");
    const [left, right] = [document.createElement("dt"), document.createElement("dd")];
    left.append(...names.flatMap((name, i) => {
      const key = Object.assign(document.createElement("kbd"), { textContent: name === "+" ? "+" : shown(name) });
      return i ? [" ", key] : [key];
    }));
    right.textContent = says;
    row.append(left, right);
    return row;
  }));
}

if (gl) begin();
else {
  byId("message").textContent = "This browser does not offer WebGL, which the 3D view needs.";
  byId("message").hidden = false;
}
