// Time of a clip: play, pause, scrub, step by frames, and a strip that shows how people are known.
//   shown(seconds, row, isPlaying)  is called whenever another moment is to be seen
const playerOf = (stage, byId, shown, say) => {
  const { motion, people, scene } = stage;
  const { seconds, frameAt } = motion;
  const last = seconds.length - 1;
  const SPEEDS = Array.from(byId("speed").options, (option) => option.value);
  let now = 0, playing = 0, moved = 0;

  const rowNow = () => frameAt(now + 1e-6);
  const told = (row) => `${(scene.clip.start + seconds[row]).toFixed(2)} s · frame ${scene.clip.first + row}`;

  function goTo(s, isPlaying = false) {
    now = s;
    const row = rowNow();
    byId("time").value = row;
    byId("time").setAttribute("aria-valuetext", told(row));
    byId("clock").textContent = `${(scene.clip.start + seconds[row]).toFixed(2)} s · ${scene.clip.first + row}`;
    byId("needle").style.left = `${last ? 100 * row / last : 0}%`;
    shown(s, row, isPlaying);
  }

  function play(wanted) {
    byId("play").textContent = wanted ? "Pause" : "Play";
    cancelAnimationFrame(playing);
    playing = 0;
    if (!wanted) return;
    if (rowNow() === last) goTo(0);
    moved = performance.now();
    const step = (time) => {
      const next = now + Math.max(0, time - moved) / 1000 * (Number(byId("speed").value) || 1);
      moved = time;
      if (next > seconds[last] && !byId("loop").checked) {
        goTo(seconds[last]);
        play(false);
        say(`End of the clip, ${told(last)}`);
        return;
      }
      playing = requestAnimationFrame(step);
      goTo(next > seconds[last] ? 0 : next, next <= seconds[last]);
    };
    playing = requestAnimationFrame(step);
  }

  // To a whole frame, to look at it.
  function showRow(row) {
    play(false);
    goTo(seconds[Maths.clamped(row, 0, last)]);
    say(`${told(rowNow())}. ${people.map((person, i) => `${person.name} ${howIs(i, rowNow())}`).join(", ")}`);
  }

  const howIs = (i, row) => {
    const code = motion.codeAt(i, row);
    return code === null ? "not in view" : { seen: "seen", filled: "filled in", doubtful: "doubtful" }[code.mark];
  };

  // ---- the strip: bars where people are seen, striped ones where in doubt, lines in gaps ----------

  const marks = people.map((_, i) => Array.from(seconds, (_s, row) => motion.codeAt(i, row)?.mark ?? null));

  function runs(of) {
    const found = [];
    of.forEach((mark, row) => {
      const before = found[found.length - 1];
      if (before && before.mark === mark) before.end = row + 1; else found.push({ mark, begin: row, end: row + 1 });
    });
    return found.filter((run) => run.mark);
  }

  function drawMarks(selected) {
    const strip = byId("marks"), MOST = 6, HIGH = 7;
    const rows = selected >= 0 ? [selected] : people.map((_, i) => i).slice(0, MOST);
    const ratio = Math.min(2, devicePixelRatio || 1), wide = strip.clientWidth;
    strip.style.height = `${rows.length * (HIGH + 2)}px`;
    [strip.width, strip.height] = [Math.round(wide * ratio), Math.round(rows.length * (HIGH + 2) * ratio)];
    const pen = strip.getContext("2d");
    pen.scale(ratio, ratio);
    rows.forEach((i, k) => {
      const top = k * (HIGH + 2) + 1;
      pen.fillStyle = pen.strokeStyle = `rgb(${people[i].color})`;
      for (const { mark, begin, end } of runs(marks[i])) {
        const [x, w] = [begin / (last + 1) * wide, Math.max(1, (end - begin) / (last + 1) * wide)];
        if (mark === "filled") { pen.fillRect(x, top + HIGH / 2 - 1, w, 2); continue; }
        pen.globalAlpha = mark === "doubtful" ? 0.35 : 1;
        pen.fillRect(x, top, w, HIGH);
        pen.globalAlpha = 1;
        if (mark === "doubtful") stripes(pen, x, top, w, HIGH);
      }
    });
    strip.setAttribute("aria-label", rows.map((i) => summary(i)).join(". ") || "Nobody");
  }

  function stripes(pen, x, y, w, h) {
    pen.save();
    pen.beginPath();
    pen.rect(x, y, w, h);
    pen.clip();
    pen.lineWidth = 1.5;
    pen.beginPath();
    // on one raster, so that neighbours fit together
    for (let at = Math.floor((x - h) / 5) * 5; at < x + w; at += 5) { pen.moveTo(at, y + h); pen.lineTo(at + h, y); }
    pen.stroke();
    pen.restore();
  }

  function summary(i) {
    const count = (mark) => marks[i].filter((m) => m === mark).length;
    return `${people[i].name}: ${count("seen")} frames seen, ${count("doubtful")} doubtful, ${count("filled")} filled in`;
  }

  byId("player").hidden = false;
  byId("time").max = last;
  byId("time").addEventListener("input", () => showRow(Number(byId("time").value)));
  byId("play").addEventListener("click", () => play(!playing));
  byId("before").addEventListener("click", () => showRow(rowNow() - 1));
  byId("after").addEventListener("click", () => showRow(rowNow() + 1));

  return {
    goTo, drawMarks,
    toggle: () => { play(!playing); say(playing ? "Plays" : `Paused, ${told(rowNow())}`); },
    step: (frames) => showRow(rowNow() + frames),
    first: () => showRow(0),
    last: () => showRow(last),
    faster(steps) {
      const at = Maths.clamped(SPEEDS.indexOf(byId("speed").value) + steps, 0, SPEEDS.length - 1);
      byId("speed").value = SPEEDS[at];
      say(`Speed ${SPEEDS[at]}`);
    },
    reset() {
      play(false);
      byId("speed").value = "1";
      byId("loop").checked = true;
    },
    now: () => now,
  };
};
