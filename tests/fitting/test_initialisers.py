"""Where fits begin: any tuple of sources, and who proposed what came out."""

from dataclasses import dataclass, replace

import pytest
import torch

from kinflow.energy.body_energy import Targets
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.facing import FacingStart
from kinflow.fitting.gallery import GalleryConfig, PoseGallery
from kinflow.fitting.initialisers import Initialiser, Proposals
from kinflow.fitting.multistart import MultistartConfig, fit
from kinflow.fitting.observations import FITTED_KEYPOINTS
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.fitting.starts import resting
from kinflow.metrics.pose import mpjpe


@dataclass(frozen=True)
class Oracle:
    """Knows the bodies of some rows and says nothing of the others."""

    bodies: Unknowns
    rows: tuple[int, ...]

    def propose(self, targets: Targets, names: tuple[str, ...]) -> Proposals:
        rows = torch.tensor(self.rows)
        return Proposals(self.bodies[rows], rows, "oracle")


@pytest.fixture(scope="module")
def targets(fitter, make_scene, camera) -> Targets:
    return fitter.targets(make_scene((0.0, 150.0, -80.0)).evidence, camera)


@pytest.fixture(scope="module")
def found(fitter, targets) -> Unknowns:
    """The best body of each row."""
    candidates = fitter.fitter.fit(targets)
    return candidates.unknowns[torch.stack([candidates.of(row)[0] for row in range(3)])]


def search(fitter: PhotoFitter, targets: Targets, *initialisers: Initialiser):
    energy = fitter.fitter.energy
    proposals = [source.propose(targets, FITTED_KEYPOINTS) for source in initialisers]
    return fit(energy, targets, proposals, MultistartConfig())


def test_the_gallery_proposes_as_many_for_each_person_as_it_is_told(fitter, targets):
    config = GalleryConfig(poses=32, views=8, headings=4, per_heading=2)
    proposals = PoseGallery(fitter.fitter.model, config).propose(targets, FITTED_KEYPOINTS)
    assert proposals.source == "gallery"
    assert proposals.person.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert len(proposals.unknowns) == 24


def test_the_facing_start_is_the_centre_of_the_prior_for_everybody(fitter, targets):
    proposals = FacingStart(fitter.fitter.model).propose(targets, FITTED_KEYPOINTS)
    assert proposals.source == "facing" and proposals.person.tolist() == [0, 1, 2]
    assert not proposals.unknowns.z.any()


def test_one_source_is_enough_and_the_search_gives_its_name(fitter, targets, found):
    candidates = search(fitter, targets, Oracle(found, (0, 1, 2)))
    assert candidates.source == ("oracle",) * 3
    torch.testing.assert_close(candidates.unknowns.z, found.z, atol=0.05, rtol=0)


def test_each_candidate_tells_who_proposed_its_start(fitter, targets, found):
    """A source that knows one person leaves the others to the rest; a bad one never wins."""
    model = fitter.fitter.model
    away = replace(resting(model, 3, "cpu"), t_cam_root_m=torch.tensor([[5.0, 5.0, 40.0]] * 3))
    away = replace(away, z=away.z + 3)

    @dataclass(frozen=True)
    class Wrong(Oracle):
        def propose(self, targets: Targets, names: tuple[str, ...]) -> Proposals:
            return replace(super().propose(targets, names), source="wrong")

    wrong, knowing = Wrong(away, (0, 1, 2)), Oracle(found, (1,))
    candidates = search(fitter, targets, wrong, knowing, FacingStart(model))
    first = [candidates.source[int(candidates.of(row)[0])] for row in range(3)]
    assert "wrong" not in first and first[0] == first[2] == "facing"
    assert len(candidates.source) == len(candidates.energy)
    mine = candidates[candidates.of(1)]
    assert mine.person.unique().tolist() == [1] and "oracle" in mine.source


def test_a_photo_is_fitted_from_a_further_source_and_the_person_says_so(
    prior, fitter, make_scene, camera, found
):
    scene = make_scene((0.0, 150.0, -80.0))
    knowing = PhotoFitter(prior, PhotoFitConfig(), further=(Oracle(found, (0, 1, 2)),))
    before, after = (f.fit(scene.evidence, camera).people for f in (fitter, knowing))
    assert {person.start_source for person in before} <= {"gallery", "facing"}
    assert "oracle" in {person.start_source for person in after}
    for one, other in zip(before, after, strict=True):
        assert mpjpe(one.joints_cam_m, other.joints_cam_m) < 0.02
        assert sum(other.energy.values()) < sum(one.energy.values()) + 0.5
