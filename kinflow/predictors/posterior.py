"""What a predictor believes of people: a density over pose, shape, orientation and place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.energy.unknowns import Unknowns
from kinflow.predictors.coordinates import ViewFrame
from kinflow.predictors.flow import ConditionalFlow
from kinflow.predictors.heads import Guess


@dataclass(frozen=True)
class Posterior:
    """A density over the unknowns of each of some people; nats are with respect to vectors."""

    guess: Guess
    flow: ConditionalFlow
    frame: ViewFrame

    def __len__(self) -> int:
        return len(self.guess.centre)

    def __getitem__(self, rows) -> Posterior:
        """Some of the people, or the same ones more often."""
        return Posterior(Guess(*(v[rows] for v in self.guess)), self.flow, self.frame[rows])

    def about(self, centre: Float[Tensor, "people size"]) -> Posterior:
        """The same density about other vectors."""
        return replace(self, guess=self.guess._replace(centre=centre))

    def point(self) -> Unknowns:
        """The network's best guess."""
        return self.frame.to_unknowns(self.guess.centre, self.guess.R_view_base)

    def mode(self) -> Unknowns:
        """What the flow makes of the most likely latent."""
        zero = torch.zeros_like(self.guess.centre)
        return self.frame.to_unknowns(self._from_latent(zero), self.guess.R_view_base)

    def log_prob(self, unknowns: Unknowns) -> Float[Tensor, " people"]:
        """Log density in nats of one body for each person."""
        vector = self.frame.to_vector(unknowns, self.guess.R_view_base)
        return self.log_prob_of_vector(vector)

    def log_prob_of_vector(self, vector: Float[Tensor, "people size"]) -> Float[Tensor, " people"]:
        """Log density in nats of vectors about the base rotations."""
        scaled = (vector - self.guess.centre) / self.guess.std
        return self.flow.log_prob(scaled, self.guess.context) - self.guess.std.log().sum(-1)

    def sample_vectors(
        self, n: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "people n size"]:
        """Draw `n` vectors for each person."""
        people, size = self.guess.centre.shape
        u = torch.randn((people, n, size), generator=generator, dtype=torch.float32)
        guess = self.guess
        of_flow = self.flow.decode(u.to(guess.centre), guess.context[:, None])
        return guess.centre[:, None] + guess.std[:, None] * of_flow

    def sample(self, n: int, generator: torch.Generator | None = None) -> Unknowns:
        """Draw `n` bodies for each person; rows are by person, then by draw."""
        vectors = self.sample_vectors(n, generator).flatten(0, 1)
        rows = torch.arange(len(self)).repeat_interleave(n)
        return self.frame[rows].to_unknowns(vectors, self.guess.R_view_base[rows])

    def _from_latent(self, u: Tensor) -> Tensor:
        return self.guess.centre + self.guess.std * self.flow.decode(u, self.guess.context)
