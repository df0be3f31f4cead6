// Shapes that are drawn besides the bodies: a skeleton's bones and balls, the floor's grid, the photo.
const Shapes = (() => {
  // Eight-sided bones that are widest near the parent: ends (two joints), along (how far, how wide),
  // around (direction), three times for each triangle.
  function sticks(parents) {
    const SIDES = 8;
    const rings = [[0, 0.15], [0.18, 1], [1, 0.22]];
    const ends = [], along = [], around = [];
    parents.forEach((parent, joint) => {
      if (parent < 0) return;
      for (let r = 0; r + 1 < rings.length; r++) {
        for (let s = 0; s < SIDES; s++) {
          for (const [k, i] of [[r, s], [r + 1, s], [r, s + 1], [r, s + 1], [r + 1, s], [r + 1, s + 1]]) {
            const angle = 2 * Math.PI * i / SIDES;
            ends.push(parent, joint);
            along.push(...rings[k]);
            around.push(Math.cos(angle), Math.sin(angle));
          }
        }
      }
    });
    return { count: ends.length / 2, ends, along, around };
  }

  // A sphere at every joint: ways (from the middle) and joints, three times for each triangle.
  function balls(joints) {
    const ROUND = 16, HIGH = 10;
    const at = (i, k) => {
      const [a, b] = [2 * Math.PI * i / ROUND, Math.PI * k / HIGH];
      return [Math.sin(b) * Math.cos(a), Math.cos(b), Math.sin(b) * Math.sin(a)];
    };
    const ways = [], owners = [];
    for (let j = 0; j < joints; j++) {
      for (let k = 0; k < HIGH; k++) {
        for (let i = 0; i < ROUND; i++) {
          for (const [a, b] of [[i, k], [i + 1, k], [i, k + 1], [i + 1, k], [i + 1, k + 1], [i, k + 1]]) {
            ways.push(...at(a, b));
            owners.push(j);
          }
        }
      }
    }
    return { count: owners.length, each: owners.length / joints, ways, owners };
  }

  function grid({ reach, home, floor }) {
    const spacing = reach < 4 ? 0.5 : reach < 20 ? 1 : 5;
    const count = Math.ceil(2 * reach / spacing);
    const data = [];
    for (let i = -count; i <= count; i++) {
      for (let j = -count; j < count; j++) {
        const [a, b, c] = [i, j, j + 1].map((v) => v * spacing);
        data.push(home[0] + a, floor, home[2] + b, home[0] + a, floor, home[2] + c);
        data.push(home[0] + b, floor, home[2] + a, home[0] + c, floor, home[2] + a);
      }
    }
    return data;
  }

  // The photo's corners, far enough away to be behind everybody.
  function photo({ scene, photoDepth }) {
    const { focal_px: focal, principal_px: principal, image_size: [w, h] } = scene.camera;
    const corner = (x, y) => [(x - principal[0]) / focal * photoDepth, (y - principal[1]) / focal * photoDepth, photoDepth];
    return [...corner(0, 0), ...corner(0, h), ...corner(w, 0), ...corner(w, h)];
  }

  // Joints and weights of each vertex, eight of each, from lists of their counts.
  function skin(text) {
    const { raw } = Maths;
    const counts = new Uint8Array(raw(text.counts)), owners = new Uint8Array(raw(text.joints));
    const shares = new Uint16Array(raw(text.weights));
    const joints = new Uint8Array(8 * counts.length), weights = new Uint16Array(8 * counts.length);
    for (let v = 0, e = 0; v < counts.length; v++) {
      for (let k = 0; k < counts[v]; k++, e++) {
        joints[8 * v + k] = owners[e];
        weights[8 * v + k] = shares[e];
      }
    }
    return { joints, weights };
  }

  return { sticks, balls, grid, photo, skin };
})();
