// Programs of the graphics card. Bodies come posed or, where SKINNED is defined, at rest with bones.
const SHADERS = (() => {
  const PLACE = `
    attribute vec3 position; attribute vec3 normal;
    uniform mat4 clip; uniform mat3 turned; uniform vec3 shift;
    varying vec3 n; varying vec3 p; varying float d;
    #ifdef SKINNED
    attribute vec4 joints0, joints1, weights0, weights1;
    uniform vec4 bones[4 * JOINTS];
    vec4 placed[4];
    void add(float joint, float weight) {
      int i = 4 * int(joint + 0.5);
      placed[0] += weight * bones[i]; placed[1] += weight * bones[i + 1];
      placed[2] += weight * bones[i + 2]; placed[3] += weight * bones[i + 3];
    }
    void place(out vec3 x, out vec3 m) {
      for (int k = 0; k < 4; k++) placed[k] = vec4(0.0);
      add(joints0.x, weights0.x); add(joints0.y, weights0.y); add(joints0.z, weights0.z); add(joints0.w, weights0.w);
      add(joints1.x, weights1.x); add(joints1.y, weights1.y); add(joints1.z, weights1.z); add(joints1.w, weights1.w);
      vec4 from = vec4(position, 1.0);
      x = vec3(dot(placed[0], from), dot(placed[1], from), dot(placed[2], from));
      m = vec3(dot(placed[0].xyz, normal), dot(placed[1].xyz, normal), dot(placed[2].xyz, normal));
      d = placed[3].x;
    }
    #else
    attribute float doubt;
    void place(out vec3 x, out vec3 m) { x = position; m = normal; d = doubt; }
    #endif
  `;
  const BODY = `
    void main() {
      vec3 x; vec3 m;
      place(x, m);
      n = turned * m; p = turned * x + shift;
      gl_Position = clip * vec4(x, 1.0);
    }
  `;
  // Bones of a skeleton from joint to joint, as wide as they are long, and balls at joints.
  const STICK = `
    attribute vec2 ends; attribute vec2 along; attribute vec2 around;
    uniform mat4 clip; uniform mat3 turned; uniform vec3 shift; uniform vec4 joints[JOINTS];
    varying vec3 n; varying vec3 p; varying float d;
    void main() {
      vec4 a = joints[int(ends.x + 0.5)], b = joints[int(ends.y + 0.5)];
      vec3 way = b.xyz - a.xyz;
      float far = max(length(way), 1e-4);
      way /= far;
      vec3 u = normalize(cross(way, abs(way.y) < 0.9 ? vec3(0.0, 1.0, 0.0) : vec3(1.0, 0.0, 0.0)));
      vec3 out_ = around.x * u + around.y * cross(way, u);
      vec3 x = mix(a.xyz, b.xyz, along.x) + out_ * along.y * (0.008 + 0.055 * far);
      n = turned * out_; p = turned * x + shift; d = mix(a.w, b.w, along.x);
      gl_Position = clip * vec4(x, 1.0);
    }
  `;
  const BALL = `
    attribute vec3 way; attribute float joint;
    uniform mat4 clip; uniform mat3 turned; uniform vec3 shift; uniform vec4 joints[JOINTS]; uniform float radii[JOINTS];
    varying vec3 n; varying vec3 p; varying float d;
    void main() {
      int j = int(joint + 0.5);
      vec3 x = joints[j].xyz + radii[j] * way;
      n = turned * way; p = turned * x + shift; d = joints[j].w;
      gl_Position = clip * vec4(x, 1.0);
    }
  `;
  const LIT = `
    precision highp float;
    varying vec3 n; varying vec3 p; varying float d;
    uniform vec3 color; uniform float opacity; uniform float by_doubt; uniform float rim;
    uniform vec3 stops[5]; uniform float full;
    const vec3 light = vec3(-0.4243, -0.7071, -0.5657);
    vec3 shaded(vec3 c, float t) {
      vec3 low = mix(c * 0.18, c * 0.55, clamp(t / 0.38, 0.0, 1.0));
      vec3 mid = mix(low, c, clamp((t - 0.38) / 0.36, 0.0, 1.0));
      return mix(mid, c + (1.0 - c) * 0.6, clamp((t - 0.74) / 0.26, 0.0, 1.0));
    }
    vec3 doubtful(float t) {
      vec3 c = mix(stops[0], stops[1], clamp(t, 0.0, 1.0));
      c = mix(c, stops[2], clamp(t - 1.0, 0.0, 1.0));
      c = mix(c, stops[3], clamp(t - 2.0, 0.0, 1.0));
      return mix(c, stops[4], clamp(t - 3.0, 0.0, 1.0));
    }
    void main() {
      vec3 normal = normalize(n);
      float facing = max(dot(normal, -normalize(p)), 0.0);
      float key = pow(dot(normal, light) * 0.5 + 0.5, 1.5);
      vec3 c = mix(color, doubtful(4.0 * d / full), by_doubt);
      float alpha = opacity * mix(1.0, mix(0.22, 1.0, pow(1.0 - facing, 1.6)), rim);
      vec3 shown = mix(shaded(c, 0.08 + 0.72 * key + 0.2 * facing), c, rim);
      gl_FragColor = vec4(shown * alpha, alpha);
    }
  `;
  const SHADOW = `
    uniform float ground; varying vec3 w;
    void main() {
      vec3 x; vec3 m;
      place(x, m);
      n = m; p = x;
      w = vec3(x.x, ground, x.z);
      gl_Position = clip * vec4(w, 1.0);
    }
  `;
  const LINE = `
    attribute vec3 position; uniform mat4 clip; varying vec3 w;
    void main() { w = position; gl_Position = clip * vec4(position, 1.0); }
  `;
  const FADING = `
    precision mediump float;
    varying vec3 w; uniform vec4 color; uniform vec2 middle; uniform float radius;
    void main() { gl_FragColor = color * clamp(1.6 * (1.0 - length(w.xz - middle) / radius), 0.0, 1.0); }
  `;
  const FLAT = "precision mediump float; uniform vec3 color; void main() { gl_FragColor = vec4(color, 1.0); }";
  const PHOTO = [`
    attribute vec3 position; uniform mat4 clip; uniform mat3 level; uniform vec4 frame; varying vec2 uv;
    void main() { uv = (position.xy / position.z) * frame.xy + frame.zw; gl_Position = clip * vec4(level * position, 1.0); }
  `, `
    precision mediump float; varying vec2 uv; uniform sampler2D image; uniform float opacity;
    void main() { gl_FragColor = vec4(texture2D(image, uv).rgb, 1.0) * opacity; }
  `];
  return {
    body: [PLACE + BODY, LIT], shadow: [PLACE + SHADOW, FADING], picked: [PLACE + BODY, FLAT],
    stick: [STICK, LIT], ball: [BALL, LIT], line: [LINE, FADING], photo: PHOTO,
  };
})();
