"""Reconstruct the people of a photo, print what was found, and write the result folder.

python examples/01_photo.py [PHOTO] [OUT]
"""

import sys
from pathlib import Path

import kinflow
from kinflow.cli.demo import demo_photos
from kinflow.evidence.image import read_photo
from kinflow.export.writer import ExportOptions, write_all


def main(path: Path, out: Path) -> None:
    reconstructor = kinflow.Reconstructor()  # loads the models once, for as many photos as you like
    photo = read_photo(path)
    result = reconstructor(photo)
    for person in result.people:
        x, y, z = person.t_cam_root_m.tolist()
        print(
            f"person {person.person}: {person.code}, pelvis at ({x:.2f}, {y:.2f}, {z:.2f}) m, "
            f"{person.measures().height_m:.2f} m tall, {len(person.hypotheses)} alternatives"
        )
        vertices_m = person.vertices()  # (13718, 3) in the camera frame
        print(f"  nearest point of the body at {float(vertices_m[:, 2].min()):.2f} m")
    for written in write_all(result, photo.rgb, out, ExportOptions(overwrite=True)).values():
        print(written)


if __name__ == "__main__":
    names = [Path(name) for name in sys.argv[1:]]
    main(*(names + [demo_photos()[0], Path("example-output")][len(names) :]))
