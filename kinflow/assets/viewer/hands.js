// Mouse, fingers and keys. Keys are listed once, for what they do and for the page that explains them.
const keysOf = ({ views, view, panel, player, actions }) => [
  ...views.map((name, i) => ({ keys: [String(i + 1)], says: `${name} view`, does: () => actions.choose(name) })),
  { keys: ["ArrowLeft"], says: "turn left", does: () => view.orbit(-0.06, 0), draws: true },
  { keys: ["ArrowRight"], says: "turn right", does: () => view.orbit(0.06, 0), draws: true },
  { keys: ["ArrowUp"], says: "look from lower", does: () => view.orbit(0, -0.06), draws: true },
  { keys: ["ArrowDown"], says: "look from higher", does: () => view.orbit(0, 0.06), draws: true },
  { keys: ["Shift+ArrowLeft"], says: "move left", does: () => view.pan(-0.04, 0), draws: true },
  { keys: ["Shift+ArrowRight"], says: "move right", does: () => view.pan(0.04, 0), draws: true },
  { keys: ["Shift+ArrowUp"], says: "move up", does: () => view.pan(0, -0.04), draws: true },
  { keys: ["Shift+ArrowDown"], says: "move down", does: () => view.pan(0, 0.04), draws: true },
  { keys: ["+", "="], says: "nearer", does: () => view.zoomAbout(0, 0, 1.2), draws: true },
  { keys: ["-"], says: "farther", does: () => view.zoomAbout(0, 0, 1 / 1.2), draws: true },
  { keys: ["r"], says: "everything as it was", does: actions.reset },
  { keys: ["n"], says: "next person", does: () => panel.next(1) },
  { keys: ["p"], says: "person before", does: () => panel.next(-1) },
  { keys: ["Escape"], says: "nobody selected", does: () => panel.select(-1) },
  { keys: ["h"], says: "hide or show who is selected", does: panel.hide },
  { keys: ["m"], says: "mesh, skeleton, both", does: () => panel.press("bodies") },
  { keys: ["u"], says: "colour by person or by uncertainty", does: () => panel.press("colour") },
  { keys: ["j"], says: "where joints are", does: () => panel.press("regions") },
  { keys: ["a"], says: "alternatives", does: () => panel.press("ghosts") },
  { keys: ["g"], says: "floor and shadows", does: () => panel.press("ground") },
  { keys: ["b"], says: "less of the picture behind", does: () => panel.slide("photo", -25) },
  { keys: ["B"], says: "more of the picture behind", does: () => panel.slide("photo", 25) },
  ...(player ? [
    { keys: [" ", "k"], says: "play or pause", does: player.toggle },
    { keys: [","], says: "a frame back", does: () => player.step(-1) },
    { keys: ["."], says: "a frame on", does: () => player.step(1) },
    { keys: ["Home"], says: "first frame", does: player.first },
    { keys: ["End"], says: "last frame", does: player.last },
    { keys: ["["], says: "slower", does: () => player.faster(-1) },
    { keys: ["]"], says: "faster", does: () => player.faster(1) },
    { keys: ["l"], says: "loop or stop at the end", does: actions.loop },
    { keys: ["f"], says: "follow who is selected, or everybody", does: actions.follow },
  ] : []),
  { keys: ["d"], says: "open or close the panel", does: actions.panel },
  { keys: ["?"], says: "this list", does: actions.help },
];

const handsOf = (canvas, { view, draw, pick, keys, turned }) => {
  const CLICK_PX = 5;
  const fingers = new Map();
  let pressed = null;

  const byShare = (dx, dy) => [dx / canvas.clientWidth, dy / canvas.clientHeight];
  const placeOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const zoomAt = ([x, y], factor) => view.zoomAbout(x / canvas.clientWidth - 0.5, y / canvas.clientHeight - 0.5, factor);

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    view.stop();
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, placeOf(event));
    pressed = fingers.size === 1 && event.button === 0 ? placeOf(event) : null;
  });
  canvas.addEventListener("pointerup", (event) => {
    if (pressed && fingers.has(event.pointerId)) pick(...pressed);
    pressed = null;
    fingers.delete(event.pointerId);
  });
  canvas.addEventListener("pointercancel", (event) => { pressed = null; fingers.delete(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = placeOf(event);
    if (pressed && Math.hypot(now[0] - pressed[0], now[1] - pressed[1]) < CLICK_PX) return;
    pressed = null;
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const gap = (p) => Math.max(8, Math.hypot(p[0] - other[0], p[1] - other[1]));
      view.pan(...byShare(dx / 2, dy / 2));
      zoomAt([(now[0] + other[0]) / 2, (now[1] + other[1]) / 2], gap(now) / gap(before));
    } else if (event.shiftKey || event.buttons & 6) {
      view.pan(...byShare(dx, dy));
    } else {
      view.orbit(dx / canvas.clientHeight, dy / canvas.clientHeight);
      turned();
    }
    fingers.set(event.pointerId, now);
    draw();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    view.stop();
    zoomAt(placeOf(event), Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)));
    draw();
  }, { passive: false });

  // Keys work wherever the focus is, but where a control needs them itself.
  function isOfControl(event, key) {
    const kind = event.target.tagName;
    if (document.querySelector("dialog[open]")) return true;
    if (kind === "SELECT" || kind === "TEXTAREA") return true;
    if (kind === "INPUT") return event.target.type === "range" || event.target.type === "radio" ? /Arrow|Home|End|Page/.test(key) || key === " " : key === " ";
    return (kind === "BUTTON" || kind === "A" || kind === "SUMMARY") && (key === " " || key === "Enter");
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || isOfControl(event, event.key)) return;
    const name = event.shiftKey && event.key.startsWith("Arrow") ? `Shift+${event.key}` : event.key;
    const found = keys.find((key) => key.keys.includes(name));
    if (!found) return;
    event.preventDefault();
    if (found.draws) view.stop();
    found.does();
    if (found.draws) { if (name.startsWith("Arrow")) turned(); draw(); }
  });
};
