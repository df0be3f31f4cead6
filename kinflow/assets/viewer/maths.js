// Vectors, rotations (rows) and arrays that came as text.
const Maths = (() => {
  const raw = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const turn = (R, v) => R.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);
  const product = (A, B) => A.map((row) => [0, 1, 2].map((c) => row[0] * B[0][c] + row[1] * B[1][c] + row[2] * B[2][c]));
  const transposed = (R) => [0, 1, 2].map((c) => R.map((row) => row[c]));
  const clamped = (x, low, high) => Math.min(high, Math.max(low, x));

  // Rows: right, down and forward of a camera that is held level, in the camera's own frame.
  function levelRotation([x, y, z]) {
    // level is the way that the camera looks, or the picture's upper edge when it looks straight down
    const ahead = Math.hypot(x, y) > 1e-3 ? [-x * z, -y * z, 1 - z * z] : [x * y, y * y - 1, y * z];
    const long = Math.hypot(...ahead);
    const [a, b, c] = ahead.map((v) => v / long);
    return [[b * z - c * y, c * x - a * z, a * y - b * x], [-x, -y, -z], [a, b, c]];
  }

  // First a turn about the vertical, then a look from above, then a turn about the line of sight.
  function viewRotation({ yaw, pitch, roll = 0 }) {
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const [cr, sr] = [Math.cos(roll), Math.sin(roll)];
    const [right, down, ahead] = [[cy, 0, sy], [sp * sy, cp, -sp * cy], [-cp * sy, sp, cp * cy]];
    return [right.map((v, i) => cr * v - sr * down[i]), right.map((v, i) => sr * v + cr * down[i]), ahead];
  }

  // Points that came as 16-bit steps of their bounding box.
  function unpacked(text, { origin, step }) {
    return Float32Array.from(new Uint16Array(raw(text)), (s, i) => origin[i % 3] + s * step[i % 3]);
  }

  function turnedAll(R, p) {
    const data = new Float32Array(p.length);
    for (let i = 0; i < p.length; i += 3) data.set(turn(R, [p[i], p[i + 1], p[i + 2]]), i);
    return data;
  }

  // Normals of a mesh at its vertices, as long as the triangles around are large.
  function normalsOf(p, faces) {
    const n = new Float32Array(p.length);
    for (let f = 0; f < faces.length; f += 3) {
      const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
      const [ux, uy, uz] = [p[b] - p[a], p[b + 1] - p[a + 1], p[b + 2] - p[a + 2]];
      const [vx, vy, vz] = [p[c] - p[a], p[c + 1] - p[a + 1], p[c + 2] - p[a + 2]];
      const [x, y, z] = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
      for (const v of [a, b, c]) { n[v] += x; n[v + 1] += y; n[v + 2] += z; }
    }
    return n;
  }

  function boundsOf(list) {
    const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    for (const p of list) {
      for (let i = 0; i < p.length; i++) {
        const axis = i % 3;
        if (p[i] < low[axis]) low[axis] = p[i];
        if (p[i] > high[axis]) high[axis] = p[i];
      }
    }
    return list.length ? { low, high } : { low: [-1, -1, 2], high: [1, 1, 4] };
  }

  return { raw, turn, product, transposed, clamped, levelRotation, viewRotation, unpacked, turnedAll, normalsOf, boundsOf };
})();
