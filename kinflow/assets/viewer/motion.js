// The people of a clip at any moment: joints from the poses of its frames, and vertices from joints.
// Poses are in the frame of the first frame's camera; R (rows) turns that into the level frame.
//   kinflowMotion(scene, R).at(seconds)  ->  [{ shown, joints, positions }] for each person
// Between two frames, and in gaps, each joint turns at constant speed and the pelvis moves straight.
"use strict";
const kinflowMotion = (scene, R) => {
  const raw = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const { parents } = scene.skin;
  const Q = new Float32Array(raw(scene.skin.rest_turns));
  const counts = new Uint8Array(raw(scene.skin.counts));
  const owners = new Uint8Array(raw(scene.skin.joints));
  const weights = Float32Array.from(new Uint16Array(raw(scene.skin.weights)), (w) => w / 65535);
  const seconds = new Float32Array(raw(scene.clip.seconds));
  const JOINTS = parents.length;

  const people = scene.people.map((person) => {
    const steps = new Uint16Array(raw(person.rest));
    return {
      rest: Float32Array.from(steps, (s, i) => person.origin[i % 3] + s * person.step[i % 3]),
      restJoints: new Float32Array(raw(person.rest_joints)),
      offsets: new Float32Array(raw(person.offsets)),
      rows: new Uint32Array(raw(person.rows)),
      turns: Float32Array.from(new Int16Array(raw(person.turns)), (q) => q / 32767),
      roots: new Float32Array(raw(person.roots)),
      positions: new Float32Array(steps.length),
    };
  });

  // The last index whose value is not above x, or -1.
  function lastAt(count, value, x) {
    let [low, high] = [-1, count - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (value(middle) <= x) low = middle; else high = middle - 1;
    }
    return low;
  }

  const frameAt = (s) => Math.max(0, lastAt(seconds.length, (i) => seconds[i], s));

  // The bodies before and after a moment, and how far it is from one to the other.
  function placeOf(person, s) {
    const { rows } = person;
    const before = lastAt(rows.length, (i) => seconds[rows[i]], s);
    const frame = frameAt(s);
    const shown = frame >= rows[0] && frame <= rows[rows.length - 1];
    if (before < 0) return { shown, a: 0, b: 0, share: 0 };
    const after = Math.min(before + 1, rows.length - 1);
    const span = seconds[rows[after]] - seconds[rows[before]];
    return { shown, a: before, b: after, share: span > 0 ? (s - seconds[rows[before]]) / span : 0 };
  }

  function slerp(q, a, b, share, out) {
    let cos = 0;
    for (let k = 0; k < 4; k++) cos += q[a + k] * q[b + k];
    const side = cos < 0 ? -1 : 1;
    const angle = Math.acos(Math.min(1, side * cos));
    const sin = Math.sin(angle);
    const [u, v] = sin < 1e-5 ? [1 - share, side * share]
      : [Math.sin((1 - share) * angle) / sin, side * Math.sin(share * angle) / sin];
    let long = 0;
    for (let k = 0; k < 4; k++) { out[k] = u * q[a + k] + v * q[b + k]; long += out[k] * out[k]; }
    for (let k = 0; k < 4; k++) out[k] /= Math.sqrt(long);
  }

  // c = a b, 3 x 3 matrices in row order at offsets of arrays.
  function multiply(a, i, b, j, c, k) {
    for (let r = 0; r < 3; r++) {
      for (let s = 0; s < 3; s++) {
        c[k + 3 * r + s] = a[i + 3 * r] * b[j + s] + a[i + 3 * r + 1] * b[j + 3 + s] + a[i + 3 * r + 2] * b[j + 6 + s];
      }
    }
  }

  const q = new Float32Array(4), L = new Float32Array(9), W = new Float32Array(9);
  const G = new Float32Array(9 * JOINTS), world = new Float32Array(9);
  const level = Float32Array.from(R.flat());
  const maps = new Float32Array(12 * JOINTS);

  // Joints (22 x 3) in the level frame, leaving their rotations in G.
  function joints(person, { a, b, share }) {
    const p = new Float32Array(3 * JOINTS);
    for (let j = 0; j < JOINTS; j++) {
      slerp(person.turns, 4 * (JOINTS * a + j), 4 * (JOINTS * b + j), share, q);
      const [x, y, z, w] = q;
      L.set([
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
      ]);
      const parent = parents[j];
      const [above, i] = parent < 0 ? [level, 0] : [G, 9 * parent];
      multiply(above, i, L, 0, world, 0);
      for (let r = 0; r < 3; r++) {
        let sum = 0;
        for (let k = 0; k < 3; k++) {
          const step = parent < 0
            ? person.roots[3 * a + k] + (person.roots[3 * b + k] - person.roots[3 * a + k]) * share
            : person.offsets[3 * j + k];
          sum += above[i + 3 * r + k] * step;
        }
        p[3 * j + r] = sum + (parent < 0 ? 0 : p[3 * parent + r]);
      }
      G.set(world, 9 * j);
    }
    return p;
  }

  // Linear blend skinning with the rotations in G.
  function skin(person, p) {
    for (let j = 0; j < JOINTS; j++) {
      multiply(G, 9 * j, Q, 9 * j, W, 0);
      for (let r = 0; r < 3; r++) {
        let t = p[3 * j + r];
        for (let k = 0; k < 3; k++) {
          maps[12 * j + 4 * r + k] = W[3 * r + k];
          t -= W[3 * r + k] * person.restJoints[3 * j + k];
        }
        maps[12 * j + 4 * r + 3] = t;
      }
    }
    const { rest, positions } = person;
    for (let v = 0, e = 0; v < counts.length; v++) {
      const [x, y, z] = [rest[3 * v], rest[3 * v + 1], rest[3 * v + 2]];
      let [px, py, pz] = [0, 0, 0];
      for (const end = e + counts[v]; e < end; e++) {
        const m = 12 * owners[e], w = weights[e];
        px += w * (maps[m] * x + maps[m + 1] * y + maps[m + 2] * z + maps[m + 3]);
        py += w * (maps[m + 4] * x + maps[m + 5] * y + maps[m + 6] * z + maps[m + 7]);
        pz += w * (maps[m + 8] * x + maps[m + 9] * y + maps[m + 10] * z + maps[m + 11]);
      }
      positions[3 * v] = px; positions[3 * v + 1] = py; positions[3 * v + 2] = pz;
    }
    return positions;
  }

  return {
    seconds,
    frameAt,
    at: (s) => people.map((person) => {
      const place = placeOf(person, s);
      const p = joints(person, place);
      return { shown: place.shown, joints: p, positions: skin(person, p) };
    }),
    // Joints of a person through the clip, in at most this many bodies.
    path: (i, most) => {
      const person = people[i];
      const stride = Math.ceil(person.rows.length / most);
      const all = [];
      for (let a = 0; a < person.rows.length; a += stride) all.push(...joints(person, { a, b: a, share: 0 }));
      return Float32Array.from(all);
    },
  };
};
