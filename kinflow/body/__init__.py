"""The statistical body model: skeleton, shape space, skinning, keypoints and parts."""

from kinflow.body.model import BodyModel as BodyModel
from kinflow.body.model import PosedBody as PosedBody
from kinflow.body.model import ShapedBody as ShapedBody
