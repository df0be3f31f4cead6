// The people of a clip at any moment: joints and bones from the poses of its frames.
// Poses are in the frame of the first frame's camera; R (rows) turns that into the level frame.
//   motionOf(scene, R).at(seconds)  ->  [{ shown, joints, bones, mark, code }] for each person
// Between two frames, and in gaps, each joint turns at constant speed and the pelvis moves straight.
const motionOf = (scene, R) => {
  const { raw } = Maths;
  const { parents } = scene;
  const Q = new Float32Array(raw(scene.skin.rest_turns));
  const seconds = new Float32Array(raw(scene.clip.seconds));
  const JOINTS = parents.length;
  const ROWS = 4; // of a bone: a map of 3 x 4, and how far its joint may be elsewhere

  const people = scene.people.map((person) => ({
    restJoints: new Float32Array(raw(person.rest_joints)),
    offsets: new Float32Array(raw(person.offsets)),
    rows: new Uint32Array(raw(person.rows)),
    turns: Float32Array.from(new Int16Array(raw(person.turns)), (q) => q / 32767),
    roots: new Float32Array(raw(person.roots)),
    doubts: Float32Array.from(new Uint8Array(raw(person.doubts)), (s) => s * scene.doubt_step),
    codes: new Uint8Array(raw(person.codes)),
    joints: new Float32Array(3 * JOINTS),
    bones: new Float32Array(4 * ROWS * JOINTS),
  }));

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

  // Joints (22 x 3) in the level frame, leaving their rotations in G.
  function placeJoints(person, { a, b, share }, p) {
    for (let j = 0; j < JOINTS; j++) {
      slerp(person.turns, 4 * (JOINTS * a + j), 4 * (JOINTS * b + j), share, q);
      const [x, y, z, w] = q;
      L[0] = 1 - 2 * (y * y + z * z); L[1] = 2 * (x * y - z * w); L[2] = 2 * (x * z + y * w);
      L[3] = 2 * (x * y + z * w); L[4] = 1 - 2 * (x * x + z * z); L[5] = 2 * (y * z - x * w);
      L[6] = 2 * (x * z - y * w); L[7] = 2 * (y * z + x * w); L[8] = 1 - 2 * (x * x + y * y);
      const parent = parents[j];
      const above = parent < 0 ? level : G, i = parent < 0 ? 0 : 9 * parent;
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

  // What linear blend skinning needs of each joint, with the rotations in G: rows of a map from rest.
  function placeBones(person, { a, b, share }) {
    const { joints, bones, restJoints, doubts } = person;
    for (let j = 0; j < JOINTS; j++) {
      multiply(G, 9 * j, Q, 9 * j, W, 0);
      for (let r = 0; r < 3; r++) {
        const at = 4 * (ROWS * j + r);
        let t = joints[3 * j + r];
        for (let k = 0; k < 3; k++) {
          bones[at + k] = W[3 * r + k];
          t -= W[3 * r + k] * restJoints[3 * j + k];
        }
        bones[at + 3] = t;
      }
      bones[4 * (ROWS * j + 3)] = doubts[JOINTS * a + j] * (1 - share) + doubts[JOINTS * b + j] * share;
    }
    return bones;
  }

  // How a person is there in a frame: a code of the scene, "gap" between bodies, or null.
  function codeAt(i, frame) {
    const { rows, codes } = people[i];
    if (frame < rows[0] || frame > rows[rows.length - 1]) return null;
    const row = lastAt(rows.length, (k) => rows[k], frame);
    return rows[row] === frame ? scene.codes[codes[row]] : { code: "gap", mark: "filled", says: "The person was missed in this frame; the body is on the way between those around it." };
  }

  return {
    seconds,
    frameAt,
    codeAt,
    at: (s) => people.map((person) => {
      const place = placeOf(person, s);
      placeJoints(person, place, person.joints);
      return { shown: place.shown, joints: person.joints, bones: placeBones(person, place) };
    }),
    // Joints of a person through the clip, in at most this many bodies.
    path: (i, most) => {
      const person = people[i];
      const stride = Math.ceil(person.rows.length / most);
      const all = [], p = new Float32Array(3 * JOINTS);
      for (let a = 0; a < person.rows.length; a += stride) all.push(...placeJoints(person, { a, b: a, share: 0 }, p));
      return Float32Array.from(all);
    },
  };
};
