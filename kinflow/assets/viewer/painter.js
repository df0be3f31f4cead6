// Draws a stage. What is shown is up to the options of paint():
//   { mesh, skeleton, doubt, regions, ghosts, ground, photo, opacity, selected, dark }
const DOUBT = {
  full_m: 0.2,
  stops: [[0.23, 0.43, 0.71], [0.5, 0.72, 0.83], [0.96, 0.9, 0.64], [0.94, 0.58, 0.31], [0.76, 0.15, 0.17]],
};

const painterOf = (gl, canvas, stage, changed) => {
  const { transposed } = Maths;
  const { scene, parents, people } = stage;
  const JOINTS = parents.length;

  // ---- what the graphics card holds ---------------------------------------------------------------

  const buffer = (data, target = gl.ARRAY_BUFFER) => {
    const made = gl.createBuffer();
    gl.bindBuffer(target, made);
    gl.bufferData(target, data, gl.STATIC_DRAW);
    return made;
  };
  const floats = (list) => buffer(new Float32Array(list));

  const skinned = stage.motion !== null;
  const faces = buffer(stage.faces, gl.ELEMENT_ARRAY_BUFFER);
  const held = (mesh, doubts) => ({
    position: buffer(mesh.positions), normal: buffer(mesh.normals), doubt: doubts ? buffer(doubts) : null,
  });
  const bodies = people.map((person) => held(person.mesh, person.mesh.doubts));
  const ghosts = people.map((person) => person.others.map((other) => held(other.mesh, null)));
  const skin = skinned ? Shapes.skin(scene.skin) : null;
  const skinJoints = skin && buffer(skin.joints), skinWeights = skin && buffer(skin.weights);
  const sticks = Shapes.sticks(parents), balls = Shapes.balls(JOINTS);
  const stickEnds = floats(sticks.ends), stickAlong = floats(sticks.along), stickAround = floats(sticks.around);
  const ballWays = floats(balls.ways), ballOwners = floats(balls.owners);
  const gridData = Shapes.grid(stage);
  const grid = floats(gridData), photoQuad = floats(Shapes.photo(stage));
  const jointData = new Float32Array(4 * JOINTS);
  const small = new Float32Array(JOINTS).fill(0.022), radii = new Float32Array(JOINTS);

  // ---- programs -----------------------------------------------------------------------------------

  const programs = {};
  function use(name, isSkinned = false) {
    const key = name + isSkinned;
    const found = programs[key] ??= compiled(...SHADERS[name], isSkinned);
    gl.useProgram(found.made);
    return found;
  }

  function compiled(vertex, fragment, isSkinned) {
    const defines = `#define JOINTS ${JOINTS}\n${isSkinned ? "#define SKINNED\n" : ""}`;
    const made = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, defines + vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
    const all = (count, info, where) => Object.fromEntries(Array.from({ length: count }, (_, i) => {
      const { name } = info(i);
      return [name.replace("[0]", ""), where(name)];
    }));
    return {
      made,
      uniform: all(gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS), (i) => gl.getActiveUniform(made, i), (n) => gl.getUniformLocation(made, n)),
      attribute: all(gl.getProgramParameter(made, gl.ACTIVE_ATTRIBUTES), (i) => gl.getActiveAttrib(made, i), (n) => gl.getAttribLocation(made, n)),
    };
  }

  function attribute(location, data, size = 3, kind = gl.FLOAT, normalised = false, stride = 0, offset = 0) {
    if (location === undefined) return;
    gl.bindBuffer(gl.ARRAY_BUFFER, data);
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, size, kind, normalised, stride, offset);
  }

  function drawMesh({ attribute: at, uniform }, mesh, bones) {
    attribute(at.position, mesh.position);
    attribute(at.normal, mesh.normal);
    if (bones) {
      gl.uniform4fv(uniform.bones, bones);
      for (const k of [0, 1]) {
        attribute(at[`joints${k}`], skinJoints, 4, gl.UNSIGNED_BYTE, false, 8, 4 * k);
        attribute(at[`weights${k}`], skinWeights, 4, gl.UNSIGNED_SHORT, true, 16, 8 * k);
      }
    } else if (at.doubt !== undefined) {
      if (mesh.doubt) attribute(at.doubt, mesh.doubt, 1);
      else { gl.disableVertexAttribArray(at.doubt); gl.vertexAttrib1f(at.doubt, 0); }
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, faces);
    gl.drawElements(gl.TRIANGLES, stage.faces.length, gl.UNSIGNED_SHORT, 0);
  }

  // ---- the picture behind -------------------------------------------------------------------------

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
    changed();
  };

  // It fades as one looks from elsewhere than the camera.
  function photoStrength(R) {
    if (!photoReady) return 0;
    const ahead = R[2].reduce((sum, v, i) => sum + v * stage.level[i][2], 0);
    const angle = Math.acos(Maths.clamped(ahead, -1, 1)) * 180 / Math.PI;
    return Maths.clamped((80 - angle) / 60, 0, 1);
  }

  function drawPhoto(clip, strength) {
    const { uniform, attribute: at } = use("photo");
    const { focal_px: focal, principal_px: principal, image_size: [w, h] } = scene.camera;
    gl.uniformMatrix4fv(uniform.clip, false, clip);
    gl.uniformMatrix3fv(uniform.level, false, transposed(stage.level).flat());
    gl.uniform4f(uniform.frame, focal / w, focal / h, principal[0] / w, principal[1] / h);
    gl.uniform1f(uniform.opacity, strength);
    attribute(at.position, photoQuad);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  // ---- ground -------------------------------------------------------------------------------------

  function fading(found, clip, rgb, alpha) {
    const { uniform } = found;
    gl.uniformMatrix4fv(uniform.clip, false, clip);
    gl.uniform2f(uniform.middle, stage.home[0], stage.home[2]);
    gl.uniform1f(uniform.radius, 2 * stage.reach);
    gl.uniform4f(uniform.color, ...rgb.map((v) => v * alpha), alpha);
    return found;
  }

  function drawGround(clip, strength, shown, dark) {
    const lines = fading(use("line"), clip, dark ? [0.75, 0.8, 0.88] : [0.16, 0.2, 0.26], 0.3 * strength);
    attribute(lines.attribute.position, grid);
    gl.drawArrays(gl.LINES, 0, gridData.length / 3);
    // shadows: every floor pixel is darkened once, however many triangles fall on it
    const shadow = fading(use("shadow", skinned), clip, dark ? [0, 0, 0] : [0.16, 0.2, 0.26], (dark ? 0.5 : 0.16) * strength);
    gl.uniform1f(shadow.uniform.ground, stage.floor);
    gl.enable(gl.STENCIL_TEST);
    gl.stencilFunc(gl.EQUAL, 0, 255);
    gl.stencilOp(gl.KEEP, gl.KEEP, gl.INCR);
    for (const i of shown) drawMesh(shadow, bodies[i], people[i].bones);
    gl.disable(gl.STENCIL_TEST);
  }

  // ---- people -------------------------------------------------------------------------------------

  // A program that lights what it draws; rim draws edges alone, for what one should see through.
  function lit(name, { clip, R, shift }, { doubt = false, rim = false, isSkinned = false } = {}) {
    const found = use(name, isSkinned);
    const { uniform } = found;
    gl.uniformMatrix4fv(uniform.clip, false, clip);
    gl.uniformMatrix3fv(uniform.turned, false, transposed(R).flat());
    gl.uniform3fv(uniform.shift, shift);
    gl.uniform3fv(uniform.stops, DOUBT.stops.flat());
    gl.uniform1f(uniform.full, DOUBT.full_m);
    gl.uniform1f(uniform.by_doubt, doubt ? 1 : 0);
    gl.uniform1f(uniform.rim, rim ? 1 : 0);
    return found;
  }

  function tint({ uniform }, i, opacity, selected) {
    gl.uniform3fv(uniform.color, people[i].color.map((v) => v / 255));
    gl.uniform1f(uniform.opacity, selected >= 0 && selected !== i ? 0.35 * opacity : opacity);
  }

  function drawBodies(matrices, shown, options) {
    const found = lit("body", matrices, { doubt: options.doubt, isSkinned: skinned });
    const opacity = options.opacity * (options.skeleton ? 0.45 : 1);
    gl.enable(gl.CULL_FACE);
    // depth first, so that a translucent body shows the photo and not its own far parts
    const seenThrough = opacity < 1 || options.selected >= 0;
    for (const pass of seenThrough ? ["depth", "colour"] : ["both"]) {
      const colours = pass !== "depth";
      gl.colorMask(colours, colours, colours, colours);
      gl.depthMask(pass !== "colour");
      gl.depthFunc(pass === "colour" ? gl.EQUAL : gl.LESS);
      for (const i of shown) {
        tint(found, i, opacity, options.selected);
        drawMesh(found, bodies[i], people[i].bones);
      }
    }
    gl.depthMask(true);
    gl.depthFunc(gl.LESS);
    gl.disable(gl.CULL_FACE);
  }

  function drawGhosts(matrices, shown, options) {
    const found = lit("body", matrices, { rim: true });
    gl.enable(gl.CULL_FACE);
    gl.depthMask(false);
    for (const i of shown) {
      ghosts[i].forEach((mesh, k) => {
        tint(found, i, 0.35 + 0.5 * people[i].others[k].weight, options.selected);
        // paler than the person, to be told apart before them
        gl.uniform3fv(found.uniform.color, people[i].color.map((v) => 0.45 * v / 255 + 0.55));
        drawMesh(found, mesh, null);
      });
    }
    gl.depthMask(true);
    gl.disable(gl.CULL_FACE);
  }

  function placeJoints({ uniform }, person) {
    for (let j = 0; j < JOINTS; j++) {
      for (let a = 0; a < 3; a++) jointData[4 * j + a] = person.joints[3 * j + a];
      jointData[4 * j + 3] = person.bones ? person.bones[16 * j + 12] : person.doubts[j];
    }
    gl.uniform4fv(uniform.joints, jointData);
  }

  function drawBalls(found, person, sizes) {
    placeJoints(found, person);
    gl.uniform1fv(found.uniform.radii, sizes);
    attribute(found.attribute.way, ballWays);
    attribute(found.attribute.joint, ballOwners, 1);
    gl.drawArrays(gl.TRIANGLES, 0, balls.count);
  }

  function drawSkeletons(matrices, shown, options) {
    const look = { doubt: options.doubt };
    for (const name of ["stick", "ball"]) {
      const found = lit(name, matrices, look);
      for (const i of shown) {
        tint(found, i, 1, options.selected);
        if (name === "ball") { drawBalls(found, people[i], small); continue; }
        placeJoints(found, people[i]);
        attribute(found.attribute.ends, stickEnds, 2);
        attribute(found.attribute.along, stickAlong, 2);
        attribute(found.attribute.around, stickAround, 2);
        gl.drawArrays(gl.TRIANGLES, 0, sticks.count);
      }
    }
  }

  // Balls that joints are in with the probability of the scene's factors.
  function drawRegions(matrices, shown, options) {
    const found = lit("ball", matrices, { doubt: true, rim: true });
    gl.depthMask(false);
    gl.enable(gl.CULL_FACE);
    for (const i of shown) {
      const person = people[i];
      tint(found, i, 0.55, options.selected);
      for (let j = 0; j < JOINTS; j++) {
        radii[j] = scene.region[j] * (person.bones ? person.bones[16 * j + 12] : person.doubts[j]);
      }
      drawBalls(found, person, radii);
    }
    gl.disable(gl.CULL_FACE);
    gl.depthMask(true);
  }

  const shownNow = () => people.map((_, i) => i).filter((i) => people[i].shown && people[i].visible);

  return {
    show: (url) => { picture.src = url; },
    paint(matrices, options) {
      const shown = shownNow();
      const strength = photoStrength(matrices.R) * options.photo;
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT | gl.STENCIL_BUFFER_BIT);
      gl.enable(gl.DEPTH_TEST);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
      gl.depthMask(false);
      if (strength > 0) drawPhoto(matrices.clip, strength);
      if (strength < 1 && options.ground) drawGround(matrices.clip, 1 - strength, shown, options.dark);
      gl.depthMask(true);
      if (options.mesh) drawBodies(matrices, shown, options);
      if (options.ghosts) drawGhosts(matrices, shown, options);
      // skeletons are seen through bodies
      if (options.skeleton) { gl.clear(gl.DEPTH_BUFFER_BIT); drawSkeletons(matrices, shown, options); }
      if (options.regions) { gl.clear(gl.DEPTH_BUFFER_BIT); drawRegions(matrices, shown, options); }
    },
    // Who is seen at a pixel: a row, or -1.
    pick: pickerOf(gl, canvas, { use, drawMesh, bodies, people, skinned, shownNow }),
  };
};

// Draws everybody's number into a single pixel.
const pickerOf = (gl, canvas, { use, drawMesh, bodies, people, skinned, shownNow }) => {
  let target = null;
  function made() {
    const frame = gl.createFramebuffer(), color = gl.createRenderbuffer(), depth = gl.createRenderbuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    for (const [what, format, place] of [
      [color, gl.RGBA4, gl.COLOR_ATTACHMENT0], [depth, gl.DEPTH_COMPONENT16, gl.DEPTH_ATTACHMENT],
    ]) {
      gl.bindRenderbuffer(gl.RENDERBUFFER, what);
      gl.renderbufferStorage(gl.RENDERBUFFER, format, 1, 1);
      gl.framebufferRenderbuffer(gl.FRAMEBUFFER, place, gl.RENDERBUFFER, what);
    }
    return frame;
  }

  return ({ clip }, x, y) => {
    target ??= made();
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    gl.viewport(-Math.floor(x), Math.floor(y) + 1 - canvas.height, canvas.width, canvas.height);
    gl.disable(gl.BLEND);
    gl.disable(gl.DITHER);
    gl.enable(gl.DEPTH_TEST);
    gl.depthMask(true);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const found = use("picked", skinned);
    gl.uniformMatrix4fv(found.uniform.clip, false, clip);
    for (const i of shownNow()) {
      // three digits to the base of 16, as many as RGBA4 keeps
      gl.uniform3f(found.uniform.color, ...[0, 4, 8].map((bits) => ((i + 1) >> bits & 15) / 15));
      drawMesh(found, bodies[i], people[i].bones);
    }
    const pixel = new Uint8Array(4);
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    return [0, 1, 2].reduce((sum, k) => sum + (Math.round(pixel[k] / 17) << 4 * k), 0) - 1;
  };
};
