// Draws the posed bodies of one photo, or those of a clip as time goes on (motion.js makes them from
// poses). They come in the frame of the photo's camera, or the clip's first (x right, y down,
// z forward, metres) and are turned into the level frame: that of a camera at its place that is held
// level, y straight down. The view is a rotation R about the people's centre C and a step back,
//   x_view = R (x - C) + tilt C + (0, 0, back),
// projected by the photo's own pinhole camera with a 2D zoom and shift on top: where R is the camera's
// own tilt and back = 0 the bodies lie exactly on the photo, whatever the zoom.
"use strict";
(() => {
  const scene = JSON.parse(document.getElementById("scene").textContent);
  const canvas = document.getElementById("view");
  const gl = canvas.getContext("webgl", { antialias: true, stencil: true, alpha: true, premultipliedAlpha: true });
  if (!gl) {
    const message = document.getElementById("message");
    message.textContent = "This browser does not offer WebGL, which the 3D view needs.";
    message.hidden = false;
    return;
  }
  const [photoWidth, photoHeight] = scene.camera.image_size;
  const NEAR = 0.05;

  // ---- data -------------------------------------------------------------------------------------

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const faces = new Uint16Array(bytes(scene.faces).buffer);

  function positionsOf(person) {
    const steps = new Uint16Array(bytes(person.positions).buffer);
    return Float32Array.from(steps, (s, i) => person.origin[i % 3] + s * person.step[i % 3]);
  }

  function normalsOf(p, n = new Float32Array(p.length)) {
    n.fill(0);
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

  const turn = (R, v) => R.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);
  const product = (A, B) => A.map((row) => [0, 1, 2].map((c) => row[0] * B[0][c] + row[1] * B[1][c] + row[2] * B[2][c]));
  const transposed = (R) => [0, 1, 2].map((c) => R.map((row) => row[c]));

  // Rows: right, down and forward of a camera that is held level, in the camera's own frame.
  function levelRotation([x, y, z]) {
    // level is the way that the camera looks, or the picture's upper edge when it looks straight down
    const ahead = Math.hypot(x, y) > 1e-3 ? [-x * z, -y * z, 1 - z * z] : [x * y, y * y - 1, y * z];
    const long = Math.hypot(...ahead);
    const [a, b, c] = ahead.map((v) => v / long);
    return [[b * z - c * y, c * x - a * z, a * y - b * x], [-x, -y, -z], [a, b, c]];
  }

  const level = levelRotation(scene.up);
  const tilt = transposed(level);

  function levelled(p) {
    const data = new Float32Array(p.length);
    for (let i = 0; i < p.length; i += 3) data.set(turn(level, [p[i], p[i + 1], p[i + 2]]), i);
    return data;
  }

  const motion = scene.clip ? kinflowMotion(scene, level) : null;
  // what views have to show: vertices, of a clip the joints of many moments
  const points = scene.people.map((person, i) => motion ? motion.path(i, 300) : levelled(positionsOf(person)));
  const bounds = boundsOf(points);
  const home = [0, 1, 2].map((a) => (bounds.low[a] + bounds.high[a]) / 2);
  const floor = motion ? scene.clip.floor : scene.floor ?? bounds.high[1];
  const reach = Math.max(1.5, Math.hypot(...[0, 1, 2].map((a) => bounds.high[a] - bounds.low[a])));
  const deepest = points.length
    ? Math.max(...points.map((p) => {
      let depth = -Infinity;
      for (let i = 0; i < p.length; i += 3) {
        depth = Math.max(depth, tilt[2][0] * p[i] + tilt[2][1] * p[i + 1] + tilt[2][2] * p[i + 2]);
      }
      return depth;
    })) : bounds.high[2];
  const photoDepth = deepest * 1.03 + 0.2;
  const far = photoDepth + 20 * reach;

  // ---- view -------------------------------------------------------------------------------------

  // the tilt is a turn about the line of sight after a look from above
  const CAMERA = {
    yaw: 0, pitch: Math.atan2(tilt[2][1], tilt[2][2]), roll: Math.atan2(tilt[1][0], tilt[0][0]),
    back: 0, zoom: 1, x: 0, y: 0,
  };
  // what views turn about, and where that is seen; who is followed takes the centre along
  let centre = home;
  let pivot = turn(tilt, centre);
  let following = false;
  // a camera that turns in the clip takes its view along: rotations from the first frame's camera
  const turns = scene.clip?.turns ? new Float32Array(Uint8Array.from(atob(scene.clip.turns), (c) => c.charCodeAt(0)).buffer) : null;
  let riding = turns !== null, ridden = 0;
  const ANGLES = { Camera: [0, 0], Free: [35, 12], Side: [90, 8], Back: [180, 8], Top: [0, 80] };
  let view = { ...CAMERA };
  let animation = 0;

  function rotationOf({ yaw, pitch, roll = 0 }) {
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const [cr, sr] = [Math.cos(roll), Math.sin(roll)];
    // first the turn about the vertical, then the look from above, then about the line of sight
    const [right, down, ahead] = [[cy, 0, sy], [sp * sy, cp, -sp * cy], [-cp * sy, sp, cp * cy]];
    return [right.map((v, i) => cr * v - sr * down[i]), right.map((v, i) => sr * v + cr * down[i]), ahead];
  }

  function turnOf(row) {
    return [0, 3, 6].map((i) => Array.from(turns.subarray(9 * row + i, 9 * row + i + 3)));
  }

  // Leave the camera that turns: the view stays what it is, but no longer goes along.
  function dismount() {
    if (!riding) return;
    riding = false;
    const T = turnOf(ridden), R = product(T, rotationOf(view));
    view.yaw = Math.atan2(-R[2][0], R[2][2]);
    view.pitch = Math.asin(Math.max(-1, Math.min(1, R[2][1])));
    view.roll = Math.atan2(-R[0][1], R[1][1]);
    pivot = turn(T, pivot);
  }

  function fitScale() {
    return Math.min(canvas.width / photoWidth, canvas.height / photoHeight);
  }

  // Points of all people, turned about their centre.
  function turnedPoints(angles, stride) {
    const R = rotationOf(angles);
    const chosen = following ? bodies.filter((b) => b.shown).map((b) => b.joints) : points;
    return chosen.flatMap((p) => {
      const sample = [];
      for (let i = 0; i < p.length; i += 3 * (following ? 1 : stride)) {
        sample.push(turn(R, [0, 1, 2].map((a) => p[i + a] - centre[a])));
      }
      return sample;
    });
  }

  // How far to step back so that nobody comes too near.
  function backOf(turned) {
    return turned.length ? Math.max(0, 0.7 * reach - pivot[2] - Math.min(...turned.map((v) => v[2]))) : 0;
  }

  // The view from these angles that shows all people in full.
  function framed(yaw, pitch) {
    const turned = turnedPoints({ yaw, pitch }, 12);
    if (!turned.length) return { ...CAMERA, yaw, pitch, roll: 0 };
    const back = backOf(turned);
    const { focal_px: focal, principal_px: principal } = scene.camera;
    const px = turned.map((v) => [0, 1].map((a) =>
      focal * (v[a] + pivot[a]) / (v[2] + pivot[2] + back) + principal[a]));
    const low = [0, 1].map((a) => Math.min(...px.map((p) => p[a])));
    const high = [0, 1].map((a) => Math.max(...px.map((p) => p[a])));
    const scale = fitScale();
    // of a clip only joints are known, between ankles and neck, and the player takes some room below
    const [fill, lift] = motion ? [0.6, 0.06] : [0.8, 0];
    const zoom = fill * Math.min(canvas.width / (high[0] - low[0]), canvas.height / (high[1] - low[1])) / scale;
    const middle = [photoWidth / 2, photoHeight / 2];
    const shift = [0, 1].map((a) => -((low[a] + high[a]) / 2 - middle[a]) * scale * zoom);
    return { yaw, pitch, roll: 0, back, zoom, x: shift[0] / canvas.width, y: shift[1] / canvas.height - lift };
  }

  function clipMatrix() {
    let R = rotationOf(view);
    let shift = turn(R, centre).map((v, a) => pivot[a] - v + (a === 2 ? view.back : 0));
    if (riding) {
      const T = turnOf(ridden);
      R = product(T, R);
      shift = turn(T, shift);
    }
    const scale = fitScale() * view.zoom;
    const { focal_px: focal, principal_px: principal } = scene.camera;
    const [w, h] = [canvas.width, canvas.height];
    const row = {
      x: [2 * scale * focal / w, 2 * scale * (principal[0] - photoWidth / 2) / w + 2 * view.x],
      y: [-2 * scale * focal / h, -2 * scale * (principal[1] - photoHeight / 2) / h - 2 * view.y],
      z: [(far + NEAR) / (far - NEAR), -2 * far * NEAR / (far - NEAR)],
    };
    const m = new Float32Array(16);
    for (let c = 0; c < 4; c++) {
      const [x, y, z] = c < 3 ? [R[0][c], R[1][c], R[2][c]] : shift;
      m[4 * c] = row.x[0] * x + row.x[1] * z;
      m[4 * c + 1] = row.y[0] * y + row.y[1] * z;
      m[4 * c + 2] = row.z[0] * z + (c === 3 ? row.z[1] : 0);
      m[4 * c + 3] = z;
    }
    return { clip: m, R, shift };
  }

  function moveTo(goal) {
    cancelAnimationFrame(animation);
    const start = { ...view }, begin = performance.now();
    // the short way round
    start.yaw = goal.yaw + Math.atan2(Math.sin(start.yaw - goal.yaw), Math.cos(start.yaw - goal.yaw));
    const duration = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 450;
    const step = () => {
      const t = duration ? Math.min(1, (performance.now() - begin) / duration) : 1;
      const s = t * t * (3 - 2 * t);
      for (const key of Object.keys(goal)) view[key] = start[key] + (goal[key] - start[key]) * s;
      draw();
      if (t < 1) animation = requestAnimationFrame(step);
    };
    step();
  }

  function mark(name) {
    for (const button of document.querySelectorAll("#views button")) {
      button.setAttribute("aria-pressed", button.textContent === name);
    }
  }

  function choose(name) {
    mark(name);
    if (name === "Camera") follow(false);
    dismount();
    riding = name === "Camera" && turns !== null;
    pivot = turn(tilt, centre);
    const [yaw, pitch] = ANGLES[name].map((degrees) => degrees * Math.PI / 180);
    moveTo(name === "Camera" ? CAMERA : framed(yaw, pitch));
  }

  // ---- drawing ----------------------------------------------------------------------------------

  function program(vertex, fragment, names) {
    const made = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
    const uniform = Object.fromEntries(names.map((n) => [n, gl.getUniformLocation(made, n)]));
    return { made, uniform, position: gl.getAttribLocation(made, "position"), normal: gl.getAttribLocation(made, "normal") };
  }

  const bodyProgram = program(`
    attribute vec3 position; attribute vec3 normal;
    uniform mat4 clip; uniform mat3 turned; uniform vec3 shift;
    varying vec3 n; varying vec3 p;
    void main() { n = turned * normal; p = turned * position + shift; gl_Position = clip * vec4(position, 1.0); }
  `, `
    precision highp float;
    varying vec3 n; varying vec3 p;
    uniform vec3 color; uniform float opacity;
    const vec3 light = vec3(-0.4243, -0.7071, -0.5657);
    vec3 ramp(float t) {
      vec3 low = mix(color * 0.18, color * 0.55, clamp(t / 0.38, 0.0, 1.0));
      vec3 mid = mix(low, color, clamp((t - 0.38) / 0.36, 0.0, 1.0));
      return mix(mid, color + (1.0 - color) * 0.6, clamp((t - 0.74) / 0.26, 0.0, 1.0));
    }
    void main() {
      vec3 normal = normalize(n);
      float facing = max(dot(normal, -normalize(p)), 0.0);
      float key = pow(dot(normal, light) * 0.5 + 0.5, 1.5);
      gl_FragColor = vec4(ramp(0.08 + 0.72 * key + 0.2 * facing) * opacity, opacity);
    }
  `, ["clip", "turned", "shift", "color", "opacity"]);

  const flatProgram = program(`
    attribute vec3 position;
    uniform mat4 clip; uniform float flatten; uniform float ground;
    varying vec3 p;
    void main() { p = vec3(position.x, mix(position.y, ground, flatten), position.z); gl_Position = clip * vec4(p, 1.0); }
  `, `
    precision mediump float;
    varying vec3 p; uniform vec4 color; uniform vec2 middle; uniform float radius;
    void main() { gl_FragColor = color * clamp(1.6 * (1.0 - length(p.xz - middle) / radius), 0.0, 1.0); }
  `, ["clip", "flatten", "ground", "color", "middle", "radius"]);

  const photoProgram = program(`
    attribute vec3 position; uniform mat4 clip; uniform mat3 level; uniform vec4 frame; varying vec2 uv;
    void main() { uv = (position.xy / position.z) * frame.xy + frame.zw; gl_Position = clip * vec4(level * position, 1.0); }
  `, `
    precision mediump float; varying vec2 uv; uniform sampler2D image; uniform float opacity;
    void main() { gl_FragColor = vec4(texture2D(image, uv).rgb, 1.0) * opacity; }
  `, ["clip", "level", "frame", "image", "opacity"]);

  function buffer(data, target = gl.ARRAY_BUFFER) {
    const made = gl.createBuffer();
    gl.bindBuffer(target, made);
    gl.bufferData(target, data, gl.STATIC_DRAW);
    return made;
  }

  function attribute(location, data) {
    gl.bindBuffer(gl.ARRAY_BUFFER, data);
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, 3, gl.FLOAT, false, 0, 0);
  }

  const indices = buffer(faces, gl.ELEMENT_ARRAY_BUFFER);
  function replace(made, data) {
    gl.bindBuffer(gl.ARRAY_BUFFER, made);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
  }

  const bodies = (motion ? motion.at(0).map((body) => body.positions) : points).map((p, i) => {
    const normals = normalsOf(p);
    return {
      position: buffer(p), normal: buffer(normals), normals, joints: null, shown: true, visible: true,
      color: scene.people[i].color.map((v) => v / 255),
    };
  });

  function gridLines() {
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
    return new Float32Array(data);
  }

  const gridData = gridLines();
  const grid = buffer(gridData);

  function photoCorner(x, y) {
    const { focal_px: focal, principal_px: principal } = scene.camera;
    return [(x - principal[0]) / focal * photoDepth, (y - principal[1]) / focal * photoDepth, photoDepth];
  }

  const photoQuad = buffer(new Float32Array([
    ...photoCorner(0, 0), ...photoCorner(0, photoHeight), ...photoCorner(photoWidth, 0), ...photoCorner(photoWidth, photoHeight),
  ]));
  const texture = gl.createTexture();
  let photoReady = false;
  const picture = new Image();
  picture.onload = () => {
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, picture);
    for (const [key, value] of [
      [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE], [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
      [gl.TEXTURE_MIN_FILTER, gl.LINEAR], [gl.TEXTURE_MAG_FILTER, gl.LINEAR],
    ]) gl.texParameteri(gl.TEXTURE_2D, key, value);
    photoReady = true;
    draw();
  };
  if (scene.photo) picture.src = scene.photo;

  function photoStrength(R) {
    if (!photoReady || !document.getElementById("photo").checked) return 0;
    const ahead = R[2].reduce((sum, v, i) => sum + v * level[i][2], 0);
    const angle = Math.acos(Math.max(-1, Math.min(1, ahead))) * 180 / Math.PI;
    return Math.min(1, Math.max(0, (80 - angle) / 60));
  }

  function drawPhoto(clip, strength) {
    const { made, uniform, position } = photoProgram;
    const { focal_px: focal, principal_px: principal } = scene.camera;
    gl.useProgram(made);
    gl.uniformMatrix4fv(uniform.clip, false, clip);
    gl.uniformMatrix3fv(uniform.level, false, transposed(level).flat());
    gl.uniform4f(uniform.frame, focal / photoWidth, focal / photoHeight, principal[0] / photoWidth, principal[1] / photoHeight);
    gl.uniform1f(uniform.opacity, strength);
    attribute(position, photoQuad);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  function drawGround(clip, strength) {
    const { made, uniform, position } = flatProgram;
    gl.useProgram(made);
    gl.uniformMatrix4fv(uniform.clip, false, clip);
    gl.uniform1f(uniform.ground, floor);
    gl.uniform2f(uniform.middle, home[0], home[2]);
    gl.uniform1f(uniform.radius, 2 * reach);
    gl.uniform1f(uniform.flatten, 0);
    const tint = (alpha) => gl.uniform4f(uniform.color, 0.16 * alpha, 0.2 * alpha, 0.26 * alpha, alpha);
    tint(0.3 * strength);
    attribute(position, grid);
    gl.drawArrays(gl.LINES, 0, gridData.length / 3);
    // shadows: every floor pixel is darkened once, however many triangles fall on it
    gl.enable(gl.STENCIL_TEST);
    gl.stencilFunc(gl.EQUAL, 0, 255);
    gl.stencilOp(gl.KEEP, gl.KEEP, gl.INCR);
    gl.uniform1f(uniform.flatten, 1);
    tint(0.16 * strength);
    for (const body of bodies.filter((b) => b.visible && b.shown)) {
      attribute(position, body.position);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, indices);
      gl.drawElements(gl.TRIANGLES, faces.length, gl.UNSIGNED_SHORT, 0);
    }
    gl.disable(gl.STENCIL_TEST);
  }

  function drawBodies({ clip, R, shift }) {
    const { made, uniform, position, normal } = bodyProgram;
    gl.useProgram(made);
    gl.uniformMatrix4fv(uniform.clip, false, clip);
    gl.uniformMatrix3fv(uniform.turned, false, transposed(R).flat());
    gl.uniform3fv(uniform.shift, shift);
    gl.uniform1f(uniform.opacity, document.getElementById("opacity").value / 100);
    gl.enable(gl.CULL_FACE);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, indices);
    // depth first, so that a translucent body shows the photo and not its own far parts
    for (const onlyDepth of [true, false]) {
      gl.colorMask(!onlyDepth, !onlyDepth, !onlyDepth, !onlyDepth);
      gl.depthMask(onlyDepth);
      gl.depthFunc(onlyDepth ? gl.LESS : gl.EQUAL);
      for (const body of bodies.filter((b) => b.visible && b.shown)) {
        gl.uniform3fv(uniform.color, body.color);
        attribute(position, body.position);
        attribute(normal, body.normal);
        gl.drawElements(gl.TRIANGLES, faces.length, gl.UNSIGNED_SHORT, 0);
      }
    }
    gl.depthMask(true);
    gl.depthFunc(gl.LESS);
    gl.disable(gl.CULL_FACE);
  }

  function draw() {
    const matrices = clipMatrix();
    const photo = photoStrength(matrices.R);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT | gl.STENCIL_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.depthMask(false);
    if (photo > 0) drawPhoto(matrices.clip, photo);
    if (photo < 1) drawGround(matrices.clip, 1 - photo);
    gl.depthMask(true);
    drawBodies(matrices);
  }

  // ---- hands ------------------------------------------------------------------------------------

  function resize() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    draw();
  }

  function zoomAbout(clientX, clientY, factor) {
    const zoom = Math.min(40, Math.max(0.1, view.zoom * factor));
    const [x, y] = [clientX / canvas.clientWidth - 0.5, clientY / canvas.clientHeight - 0.5];
    view.x = x - (x - view.x) * zoom / view.zoom;
    view.y = y - (y - view.y) * zoom / view.zoom;
    view.zoom = zoom;
  }

  function orbit(dx, dy) {
    dismount();
    // the bodies follow the pointer
    view.yaw -= dx / canvas.clientHeight * 3.2;
    view.pitch = Math.min(1.55, Math.max(Math.min(-0.6, CAMERA.pitch), view.pitch + dy / canvas.clientHeight * 3.2));
    view.back = Math.max(view.back, backOf(turnedPoints(view, 120)));
    mark("Free");
  }

  function pan(dx, dy) {
    view.x += dx / canvas.clientWidth;
    view.y += dy / canvas.clientHeight;
  }

  const fingers = new Map();
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    cancelAnimationFrame(animation);
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => fingers.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const gap = (p) => Math.max(8, Math.hypot(p[0] - other[0], p[1] - other[1]));
      pan(dx / 2, dy / 2);
      zoomAbout((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, gap(now) / gap(before));
    } else if (event.shiftKey || event.buttons & 6) {
      pan(dx, dy);
    } else {
      orbit(dx, dy);
    }
    fingers.set(event.pointerId, now);
    draw();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    cancelAnimationFrame(animation);
    zoomAbout(event.clientX, event.clientY, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)));
    draw();
  }, { passive: false });
  canvas.addEventListener("dblclick", () => choose("Camera"));
  canvas.addEventListener("keydown", (event) => {
    const arrows = { ArrowLeft: [-40, 0], ArrowRight: [40, 0], ArrowUp: [0, -40], ArrowDown: [0, 40] };
    const name = Object.keys(ANGLES)[Number(event.key) - 1];
    if (name) choose(name);
    else if (arrows[event.key]) orbit(...arrows[event.key]);
    else if (event.key === "+" || event.key === "-") {
      zoomAbout(canvas.clientWidth / 2, canvas.clientHeight / 2, event.key === "+" ? 1.2 : 1 / 1.2);
    } else return;
    draw();
  });

  function button(parent, text, pressed, action) {
    const made = document.createElement("button");
    made.type = "button";
    made.setAttribute("aria-pressed", pressed);
    made.append(text);
    made.addEventListener("click", () => action(made));
    parent.append(made);
    return made;
  }

  for (const name of Object.keys(ANGLES)) {
    button(document.getElementById("views"), name, name === "Camera", () => choose(name));
  }
  scene.people.forEach((person, i) => {
    const made = button(document.getElementById("people"), person.name, true, (self) => {
      bodies[i].visible = !bodies[i].visible;
      self.setAttribute("aria-pressed", bodies[i].visible);
      draw();
    });
    const chip = document.createElement("span");
    chip.className = "chip";
    chip.style.background = `rgb(${person.color})`;
    made.prepend(chip);
    made.title = person.note;
  });
  // ---- time -------------------------------------------------------------------------------------

  // Pictures of some moments of the clip: the last one that has been is behind the bodies.
  const pictures = scene.clip ? scene.clip.pictures : [];
  let pictured = -1;
  let now = 0, playing = 0, moved = 0;

  function middleOfShown() {
    const shown = bodies.filter((b) => b.shown && b.visible);
    if (!shown.length) return centre;
    return [0, 1, 2].map((a) => shown.reduce((sum, b) => sum + b.joints[a], 0) / shown.length);
  }

  function follow(wanted) {
    if (following === wanted) return;
    following = wanted;
    document.getElementById("follow").checked = wanted;
    centre = wanted ? middleOfShown() : home;
  }

  // While the clip plays the centre glides after people, who may come into view and leave it.
  function goTo(s, glides = false) {
    now = s;
    motion.at(s).forEach((moment, i) => {
      const body = bodies[i];
      Object.assign(body, { shown: moment.shown, joints: moment.joints });
      if (!moment.shown) return;
      replace(body.position, moment.positions);
      replace(body.normal, normalsOf(moment.positions, body.normals));
    });
    if (following) {
      const middle = middleOfShown();
      centre = glides ? centre.map((v, a) => v + 0.15 * (middle[a] - v)) : middle;
    }
    const frame = motion.frameAt(s + 1e-6);
    ridden = frame;
    const latest = pictures.reduce((found, p, i) => p.row <= frame ? i : found, -1);
    if (latest >= 0 && latest !== pictured) {
      pictured = latest;
      picture.src = pictures[latest].url;
    }
    document.getElementById("time").value = frame;
    document.getElementById("clock").textContent = `${(scene.clip.start + s).toFixed(2)} s · frame ${scene.clip.first + frame}`;
    draw();
  }

  function play(wanted) {
    document.getElementById("play").textContent = wanted ? "Pause" : "Play";
    cancelAnimationFrame(playing);
    playing = 0;
    if (!wanted) return;
    const last = motion.seconds[motion.seconds.length - 1];
    moved = performance.now();
    const step = (time) => {
      const speed = Number(document.getElementById("speed").value) || 1;
      const next = now + Math.max(0, time - moved) / 1000 * speed;
      moved = time;
      playing = requestAnimationFrame(step);
      goTo(next > last ? 0 : next, next <= last);
    };
    playing = requestAnimationFrame(step);
  }

  // By whole frames, to look at one.
  function stepBy(frames) {
    play(false);
    const row = Math.min(motion.seconds.length - 1, Math.max(0, motion.frameAt(now + 1e-6) + frames));
    goTo(motion.seconds[row]);
  }

  if (motion) {
    document.getElementById("player").hidden = false;
    const slider = document.getElementById("time");
    slider.max = motion.seconds.length - 1;
    slider.addEventListener("input", () => {
      play(false);
      goTo(motion.seconds[Number(slider.value)]);
    });
    document.getElementById("play").addEventListener("click", () => play(!playing));
    document.getElementById("follow").addEventListener("input", (event) => {
      follow(event.target.checked);
      choose("Free");
    });
    canvas.addEventListener("keydown", (event) => {
      if (event.key === " ") play(!playing);
      else if (event.key === "," || event.key === ".") stepBy(event.key === "," ? -1 : 1);
      else if (event.key === "f") { follow(!following); choose("Free"); }
      else return;
      event.preventDefault();
    });
    goTo(0);
  }
  document.getElementById("photo").parentElement.hidden = !scene.photo && !pictures.length;

  for (const id of ["photo", "opacity"]) document.getElementById(id).addEventListener("input", draw);
  new ResizeObserver(resize).observe(canvas);
  resize();
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (ANGLES[wanted]) choose(wanted);
})();
