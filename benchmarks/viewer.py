"""What the page of a result costs: bytes, time to the first picture, and script time per frame.

    python benchmarks/viewer.py --people 6 --seconds 4

Needs a Chromium, which draws by the processor here (SwiftShader): frames a second say what such a
machine shows, and the processor time of scripts in a frame, in which other programs and the drawing
do not count, what any other needs at least; 60 frames a second leave 16.7 ms for both. People walk
round; the photo shows them in their first frame.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from kinflow.assets import ASSET_ROOT
from kinflow.export.viewer import viewer_html
from kinflow.export.viewer_clip import clip_viewer_html
from kinflow.results import Reconstruction

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]

from chromium import Chromium, Page  # noqa: E402 # pyright: ignore[reportMissingImports]
from moving_people import SIZE, gravity_of, walker  # noqa: E402 # pyright: ignore[reportMissingImports]

from kinflow.results import Frame  # noqa: E402

_COUNT = """
window.frames_ = 0;
{
  const ask = window.requestAnimationFrame.bind(window);
  let last = -1;
  window.requestAnimationFrame = (does) => ask((time) => {
    if (time !== last) window.frames_ += 1;
    last = time;
    does(time);
  });
}
"""


@dataclass(frozen=True)
class ViewerBenchmark:
    """What is shown.

    Args:
        people: in the clip and the photo.
        frames: of the clip, at 30 a second.
        seconds: of playing and of turning that are measured.
        width: of the window.
        height: of the window.
    """

    people: int = 6
    frames: int = 120
    seconds: float = 4.0
    width: int = 1100
    height: int = 820


def people_who_walk(options: ViewerBenchmark) -> Reconstruction:
    """A clip of people who walk in different directions."""
    times_s = [i / 30 for i in range(options.frames)]
    gravity = gravity_of(0.3)
    tracks = [
        walker(n, times_s, gravity, 1.1 * n, [0.7 * n - 1.75, 0.9, -4.0 - 0.5 * (n % 3)])
        for n in range(options.people)
    ]
    frames = [Frame(i, s, tracks[0][0].camera, gravity) for i, s in enumerate(times_s)]
    shown = [[track[i] for track in tracks] for i in range(options.frames)]
    return Reconstruction.of_frames(frames, shown, "walk.mp4")


def measured(page: Page, seconds: float) -> tuple[float, float]:
    """Frames a second, and processor time that scripts take in one, ms."""
    spent_s, count = _script_s(page), page.run("window.frames_")
    begin = time.perf_counter()
    time.sleep(seconds)
    frames = page.run("window.frames_") - count
    took_s = time.perf_counter() - begin
    return frames / took_s, 1e3 * (_script_s(page) - spent_s) / max(1, frames)


def _script_s(page: Page) -> float:
    metrics = page.ask("Performance.getMetrics")["metrics"]
    return next(m["value"] for m in metrics if m["name"] == "ScriptDuration")


def main(options: ViewerBenchmark) -> None:
    """Measure a clip that plays and a photo that is turned, in each way of showing."""
    clip = people_who_walk(options)
    photo = Reconstruction.of_frame(clip.frames[0].camera, clip.people_of(0), "walk.jpg")
    picture = np.full((*SIZE[::-1], 3), 128, np.uint8)
    script = sum(path.stat().st_size for path in (ASSET_ROOT / "viewer").iterdir())
    served = sum(path.stat().st_size for path in (ASSET_ROOT / "page").iterdir())
    print(f"the viewer without a result: {script / 1e3:.0f} kB; the page of kinflow serve: "
          f"{served / 1e3:.0f} kB")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, Chromium() as browser:
        for name, content in (
            ("photo", viewer_html(picture, photo)),
            ("clip", clip_viewer_html(clip, {0: picture})),
        ):
            path = Path(folder) / f"{name}.html"
            path.write_bytes(content)
            page = browser.page((options.width, options.height))
            page.before_scripts(_COUNT)
            page.ask("Performance.enable", timeDomain="threadTicks")
            begin = time.perf_counter()
            page.open(path.as_uri())
            page.settled()
            print(f"{name}, {options.people} people: {len(content) / 1e6:.2f} MB, "
                  f"open after {time.perf_counter() - begin:.2f} s")  # fmt: skip
            _show(page, name, options)
            for complaint in page.complaints():
                print("  complaint:", complaint)


def _show(page: Page, name: str, options: ViewerBenchmark) -> None:
    page.press("2")
    page.settled()
    if name == "clip":
        page.press(" ")
    else:  # a turn in every frame, as a hand would do it
        page.run("""(() => { const turn = () => {
          document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
          requestAnimationFrame(turn); }; turn(); })()""")
    for says, keys in (
        ("mesh", ()),
        ("mesh, coloured by uncertainty, with regions", ("u", "j")),
        ("mesh and skeleton", ("j", "m", "m")),
        ("skeleton", ("m", "m")),
    ):
        page.press(*keys)
        page.settled()  # programs of the card are made
        rate_hz, script_ms = measured(page, options.seconds)
        print(f"  {says}: {rate_hz:.0f} frames/s, scripts {script_ms:.2f} ms a frame")


if __name__ == "__main__":
    main(tyro.cli(ViewerBenchmark, description=__doc__))
