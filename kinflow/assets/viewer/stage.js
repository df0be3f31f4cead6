// What there is to see: people, floor and camera of a scene, in the level frame. That is the frame of
// the photo's camera (of a clip, the first frame's: x right, y down, z forward, metres), turned so that
// y is straight down; the camera is at its origin.
const stageOf = (scene) => {
  const { raw, turn, transposed, unpacked, turnedAll, normalsOf, boundsOf, levelRotation } = Maths;
  const level = levelRotation(scene.up);
  const tilt = transposed(level);
  const faces = new Uint16Array(raw(scene.faces));
  const motion = scene.clip ? motionOf(scene, level) : null;
  const doubtsOf = (text) => Float32Array.from(new Uint8Array(raw(text)), (s) => s * scene.doubt_step);

  // A body that is sent as it is posed.
  function posed(body) {
    const positions = turnedAll(level, unpacked(body.positions, body));
    return {
      positions,
      normals: normalsOf(positions, faces),
      joints: turnedAll(level, new Float32Array(raw(body.joints))),
    };
  }

  // A body that is sent at rest, and moved by bones.
  function resting(body) {
    const positions = unpacked(body.rest, body);
    return { positions, normals: normalsOf(positions, faces), joints: null };
  }

  const people = scene.people.map((person) => ({
    ...person,
    mesh: motion ? resting(person) : { ...posed(person), doubts: doubtsOf(person.vertex_doubts) },
    others: (person.alternatives || []).map((other) => ({ ...other, mesh: posed(other) })),
    // how it is now: whether there is a body, its joints, and what moves its mesh
    shown: !motion, joints: null, bones: null,
    doubts: motion ? null : doubtsOf(person.doubts),
    visible: true,
  }));
  if (!motion) for (const person of people) person.joints = person.mesh.joints;

  // what views have to show: vertices, of a clip the joints of many moments
  const points = people.map((person, i) => motion ? motion.path(i, 300) : person.mesh.positions);
  const bounds = boundsOf(points);
  const home = [0, 1, 2].map((a) => (bounds.low[a] + bounds.high[a]) / 2);
  const reach = Math.max(1.5, Math.hypot(...[0, 1, 2].map((a) => bounds.high[a] - bounds.low[a])));

  function deepest() {
    if (!points.length) return bounds.high[2];
    let depth = -Infinity;
    for (const p of points) {
      for (let i = 0; i < p.length; i += 3) {
        depth = Math.max(depth, tilt[2][0] * p[i] + tilt[2][1] * p[i + 1] + tilt[2][2] * p[i + 2]);
      }
    }
    return depth;
  }

  const photoDepth = deepest() * 1.03 + 0.2;
  return {
    scene, level, tilt, faces, motion, people, points, home, reach, photoDepth,
    parents: scene.parents,
    far: photoDepth + 20 * reach,
    floor: motion ? scene.clip.floor : scene.floor ?? bounds.high[1],
    // rotations from the first frame's camera to that of each frame, where it turns
    turns: scene.clip?.turns ? new Float32Array(raw(scene.clip.turns)) : null,
    goTo(s) {
      motion.at(s).forEach((moment, i) => Object.assign(people[i], moment));
    },
    // Where somebody is in the middle, of those who are seen.
    middleOf(some) {
      const there = some.filter((person) => person.shown && person.visible);
      if (!there.length) return null;
      return [0, 1, 2].map((a) => there.reduce((sum, person) => sum + person.joints[a], 0) / there.length);
    },
  };
};
