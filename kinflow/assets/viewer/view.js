// From where people are seen. A view is a rotation R about a centre C and a step back,
//   x_view = R (x - C) + pivot + (0, 0, back),
// projected by the photo's own pinhole camera with a 2D zoom and shift on top: where R is the camera's
// own tilt, pivot = tilt C and back = 0 the bodies lie exactly on the photo, whatever the zoom.
const ANGLES = { Camera: [0, 0], Free: [35, 12], Side: [90, 8], Back: [180, 8], Top: [0, 80] };

// size: gives width and height in pixels of the drawing; clip: whether a player takes room below.
const viewOf = (stage, size, changed) => {
  const { turn, product, viewRotation, clamped } = Maths;
  const { tilt, reach, turns, far, scene } = stage;
  const [photoWidth, photoHeight] = scene.camera.image_size;
  const { focal_px: focal, principal_px: principal } = scene.camera;
  const NEAR = 0.05;

  // the tilt is a turn about the line of sight after a look from above
  const CAMERA = {
    yaw: 0, pitch: Math.atan2(tilt[2][1], tilt[2][2]), roll: Math.atan2(tilt[1][0], tilt[0][0]),
    back: 0, zoom: 1, x: 0, y: 0,
  };
  let view = { ...CAMERA };
  let centre = stage.home, pivot = turn(tilt, centre);
  // a camera that turns in the clip takes its view along
  let riding = turns !== null, ridden = 0;
  let animation = 0;

  const turnOf = (row) => [0, 3, 6].map((i) => Array.from(turns.subarray(9 * row + i, 9 * row + i + 3)));
  const scaleOf = ([w, h]) => Math.min(w / photoWidth, h / photoHeight);

  // Leave the camera that turns: the view stays what it is, but no longer goes along.
  function dismount() {
    if (!riding) return;
    riding = false;
    const T = turnOf(ridden), R = product(T, viewRotation(view));
    view.yaw = Math.atan2(-R[2][0], R[2][2]);
    view.pitch = Math.asin(clamped(R[2][1], -1, 1));
    view.roll = Math.atan2(-R[0][1], R[1][1]);
    pivot = turn(T, pivot);
  }

  // Points, turned about the centre; every stride-th of them.
  function turnedPoints(points, angles, stride) {
    const R = viewRotation(angles);
    return points.flatMap((p) => {
      const sample = [];
      for (let i = 0; i < p.length; i += 3 * stride) sample.push(turn(R, [0, 1, 2].map((a) => p[i + a] - centre[a])));
      return sample;
    });
  }

  // How far to step back so that nobody comes too near.
  function backOf(turned) {
    return turned.length ? Math.max(0, 0.7 * reach - pivot[2] - Math.min(...turned.map((v) => v[2]))) : 0;
  }

  // The view from these angles that shows the points in full.
  function framed(points, yaw, pitch) {
    const joints = stage.motion !== null;
    const turned = turnedPoints(points, { yaw, pitch }, joints ? 1 : 12);
    if (!turned.length) return { ...CAMERA, yaw, pitch, roll: 0 };
    const back = backOf(turned);
    const px = turned.map((v) => [0, 1].map((a) => focal * (v[a] + pivot[a]) / (v[2] + pivot[2] + back) + principal[a]));
    const low = [0, 1].map((a) => Math.min(...px.map((p) => p[a])));
    const high = [0, 1].map((a) => Math.max(...px.map((p) => p[a])));
    const [w, h] = size();
    const scale = scaleOf([w, h]);
    // controls take some room below; of a clip only joints are known, between ankles and neck
    const [fill, lift] = joints ? [0.58, 0.07] : [0.74, 0.04];
    const zoom = fill * Math.min(w / (high[0] - low[0]), h / (high[1] - low[1])) / scale;
    const middle = [photoWidth / 2, photoHeight / 2];
    const shift = [0, 1].map((a) => -((low[a] + high[a]) / 2 - middle[a]) * scale * zoom);
    return { yaw, pitch, roll: 0, back, zoom, x: shift[0] / w, y: shift[1] / h - lift };
  }

  // The matrix to clip space (columns), and rotation and shift to the view.
  function matrices() {
    let R = viewRotation(view);
    let shift = turn(R, centre).map((v, a) => pivot[a] - v + (a === 2 ? view.back : 0));
    if (riding) {
      const T = turnOf(ridden);
      R = product(T, R);
      shift = turn(T, shift);
    }
    const [w, h] = size();
    const scale = scaleOf([w, h]) * view.zoom;
    const row = {
      x: [2 * scale * focal / w, 2 * scale * (principal[0] - photoWidth / 2) / w + 2 * view.x],
      y: [-2 * scale * focal / h, -2 * scale * (principal[1] - photoHeight / 2) / h - 2 * view.y],
      z: [(far + NEAR) / (far - NEAR), -2 * far * NEAR / (far - NEAR)],
    };
    const clip = new Float32Array(16);
    for (let c = 0; c < 4; c++) {
      const [x, y, z] = c < 3 ? [R[0][c], R[1][c], R[2][c]] : shift;
      clip[4 * c] = row.x[0] * x + row.x[1] * z;
      clip[4 * c + 1] = row.y[0] * y + row.y[1] * z;
      clip[4 * c + 2] = row.z[0] * z + (c === 3 ? row.z[1] : 0);
      clip[4 * c + 3] = z;
    }
    return { clip, R, shift };
  }

  function moveTo(goal, duration) {
    cancelAnimationFrame(animation);
    const start = { ...view }, begin = performance.now();
    // the short way round
    start.yaw = goal.yaw + Math.atan2(Math.sin(start.yaw - goal.yaw), Math.cos(start.yaw - goal.yaw));
    const step = () => {
      const t = duration ? Math.min(1, (performance.now() - begin) / duration) : 1;
      const s = t * t * (3 - 2 * t);
      for (const key of Object.keys(goal)) view[key] = start[key] + (goal[key] - start[key]) * s;
      changed();
      if (t < 1) animation = requestAnimationFrame(step);
    };
    step();
  }

  return {
    matrices,
    stop: () => cancelAnimationFrame(animation),
    setRow: (row) => { ridden = row; },
    setCentre: (point) => { centre = point; },
    glideTo: (point) => { centre = centre.map((v, a) => v + 0.15 * (point[a] - v)); },
    // One of the views by name, of these points, in so many milliseconds.
    choose(name, points, middle, duration) {
      dismount();
      riding = name === "Camera" && turns !== null;
      centre = middle;
      pivot = turn(tilt, centre);
      const [yaw, pitch] = ANGLES[name].map((degrees) => degrees * Math.PI / 180);
      moveTo(name === "Camera" ? CAMERA : framed(points, yaw, pitch), duration);
    },
    zoomAbout(x, y, factor) {
      const zoom = clamped(view.zoom * factor, 0.1, 40);
      view.x = x - (x - view.x) * zoom / view.zoom;
      view.y = y - (y - view.y) * zoom / view.zoom;
      view.zoom = zoom;
    },
    // By shares of the drawing's height: the bodies follow the pointer.
    orbit(dx, dy) {
      dismount();
      view.yaw -= dx * 3.2;
      view.pitch = clamped(view.pitch + dy * 3.2, Math.min(-0.6, CAMERA.pitch), 1.55);
      view.back = Math.max(view.back, backOf(turnedPoints(stage.points, view, 120)));
    },
    // By shares of width and height.
    pan(dx, dy) {
      view.x += dx;
      view.y += dy;
    },
  };
};
