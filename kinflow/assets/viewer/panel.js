// The list of people and what is shown of them. Every choice is a control with a name, and the
// controls hold the state; told() reads it for the painter.
const panelOf = (stage, byId, changed, say) => {
  const { people, scene } = stage;
  const make = (kind, fields = {}, ...inside) => {
    const made = Object.assign(document.createElement(kind), fields);
    made.append(...inside);
    return made;
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let selected = -1;

  const checked = (id) => byId(id).checked;
  const radio = (name) => document.querySelector(`input[name=${name}]:checked`).value;

  function told() {
    const bodies = radio("bodies");
    return {
      mesh: bodies !== "skeleton", skeleton: bodies !== "mesh", doubt: radio("colour") === "doubt",
      regions: checked("regions"), ghosts: checked("ghosts"), ground: checked("ground"),
      photo: byId("photo").value / 100, opacity: byId("opacity").value / 100, selected, dark: dark.matches,
    };
  }

  // ---- people -------------------------------------------------------------------------------------

  const rows = people.map((person, i) => {
    const chip = make("span", { className: "chip" });
    chip.style.background = `rgb(${person.color})`;
    const who = make("button", { type: "button", className: "who" }, chip, person.name);
    who.addEventListener("click", () => select(selected === i ? -1 : i));
    const shown = make("input", { type: "checkbox", checked: true });
    shown.setAttribute("aria-label", `Show ${person.name}`);
    shown.addEventListener("input", () => {
      person.visible = shown.checked;
      say(`${person.name} ${shown.checked ? "shown" : "hidden"}`);
      changed();
    });
    byId("people").append(make("li", {}, who, make("label", { className: "eye", title: `Show ${person.name}` }, shown)));
    return { who, shown };
  });

  function select(i) {
    selected = i;
    rows.forEach(({ who }, k) => who.setAttribute("aria-pressed", String(k === i)));
    describe(null);
    say(i < 0 ? "Nobody selected" : `${people[i].name} selected. ${people[i].note}`);
    listeners.forEach((listener) => listener(i));
    changed();
  }
  const listeners = [];

  // What is known of who is selected; in a clip, of the frame that is seen.
  let described = "";
  function describe(code) {
    const person = people[selected];
    const lines = person ? [person.note, ...person.facts] : [];
    if (person && code) lines.push(`This frame: ${code.says}`);
    const wanted = [selected, ...lines].join("\n");
    if (wanted === described) return;
    described = wanted;
    byId("about").replaceChildren(...lines.map((line) => make("p", { textContent: line })));
    if (person?.others.length) {
      byId("about").append(make("p", { textContent: "Alternatives explain the picture almost as well:" }),
        make("ol", {}, ...person.others.map((other) => make("li", { textContent: other.note }))));
    }
  }

  // ---- what is shown ------------------------------------------------------------------------------

  function legend() {
    const colour = (rgb) => `rgb(${rgb.map((v) => Math.round(255 * v))})`;
    byId("ramp").style.background = `linear-gradient(90deg, ${DOUBT.stops.map(colour)})`;
    const steps = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(100 * DOUBT.full_m * share));
    byId("scale").replaceChildren(...steps.map((cm, i) => make("span", { textContent: i === 4 ? `${cm}+ cm` : cm })));
    byId("ramp").setAttribute("aria-label", `From blue, 0 cm, over yellow to red, ${steps[4]} cm and more`);
  }

  function follow() {
    byId("legend").hidden = !(told().doubt || told().regions);
    changed();
  }

  legend();
  const others = people.reduce((sum, person) => sum + person.others.length, 0);
  byId("ghosts-row").hidden = others === 0;
  byId("ghosts").checked = false;
  byId("ghosts-count").textContent = others;
  byId("photo-row").hidden = !scene.photo && !(scene.clip && scene.clip.pictures.length);
  byId("marks-legend").hidden = !stage.motion;
  byId("nobody").hidden = people.length > 0;
  for (const control of document.querySelectorAll("#panel fieldset input")) {
    control.addEventListener("input", () => {
      if (control.type !== "range") say(`${control.parentElement.textContent.trim()}${control.type === "checkbox" ? (control.checked ? " on" : " off") : ""}`);
      follow();
    });
  }
  dark.addEventListener("change", changed);

  // Files that lie beside this page; within a sandbox nothing can be saved.
  const isBoxed = location.protocol !== "file:" && self.origin === "null";
  byId("files").hidden = isBoxed || !scene.files.length;
  if (!isBoxed) {
    byId("file-list").replaceChildren(...scene.files.map(([name, says]) => {
      const link = make("a", { href: encodeURIComponent(name), textContent: name, download: name });
      return make("li", {}, link, ` ${says}`);
    }));
  }

  return {
    told, select, describe,
    selected: () => selected,
    onSelect: (listener) => listeners.push(listener),
    next(steps) {
      const count = people.length + 1; // nobody is one of them
      select((selected + 1 + steps + count) % count - 1);
    },
    hide() {
      if (selected >= 0) rows[selected].shown.click();
    },
    // The next of the choices of a name, or the other state of a box.
    press(name) {
      const choices = [...document.querySelectorAll(`input[name=${name}]`)];
      const control = choices.length ? choices[(choices.findIndex((c) => c.checked) + 1) % choices.length] : byId(name);
      if (!control.closest("label[hidden]")) control.click();
    },
    slide(id, by) {
      const slider = byId(id);
      if (slider.closest("label[hidden]")) return;
      slider.value = Number(slider.value) + by;
      say(`${slider.parentElement.textContent.trim()} ${slider.value} %`);
      follow();
    },
    reset() {
      rows.forEach(({ shown }, i) => { shown.checked = people[i].visible = true; });
      for (const control of document.querySelectorAll("#panel fieldset input")) {
        control.checked = control.defaultChecked;
        if (control.type === "range") control.value = control.defaultValue;
      }
      if (selected >= 0) select(-1);
      follow();
    },
  };
};
