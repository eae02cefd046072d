"""What a model of a table has learned, for a fit or a pass that goes on from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from nineline import _checks
from nineline.activations import ACTIVATIONS, Activation
from nineline.layers import Dropout, Layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nineline.estimators.tabular.recipe import Recipe
    from nineline.network import Network
    from nineline.tables.columns import Columns
    from nineline.tables.targets import Target


@dataclass(frozen=True)
class Learned:
    """Columns, target and networks of a fitted model; whoever goes on keeps the first two, so that the third fit.

    Attributes
    ----------
    columns : Columns
    target : Target
    networks : tuple of Network
    learning_rate : float or None
        The highest that they were trained with; None where a file does not say.
    """

    columns: Columns
    target: Target
    networks: tuple[Network, ...]
    learning_rate: float | None

    @classmethod
    def of(cls, model: Any) -> Self:
        """Return what a fitted model has learned."""
        return cls(model.columns_, model.target_, tuple(model.members_), model._learning_rate)

    def recipe(self, recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
        """Return a recipe for going on: what is "auto" is as the networks are and were trained.

        Raises
        ------
        ValueError
            The settings ask for other networks than these.
        """
        layers = self.networks[0].layers
        *hidden, _ = [layer for layer in layers if isinstance(layer, Layer)]
        widths = tuple(layer.n_outputs for layer in hidden)
        if isinstance(settings["hidden_layer_sizes"], str):
            recipe = replace(recipe, hidden=widths)
        if recipe.hidden != widths:
            raise ValueError(f"hidden_layer_sizes is {recipe.hidden}, and the networks have {widths}; {_WAY_OUT}")
        if hidden:
            activation = _checks.resolve("activation", settings["activation"], Activation, ACTIVATIONS)
            if activation != hidden[0].activation:
                raise ValueError(
                    f"activation is {activation!r}, and the networks have {hidden[0].activation!r}; {_WAY_OUT}"
                )
        if isinstance(settings["dropout"], str):
            rates = [layer.rate for layer in layers if isinstance(layer, Dropout)]
            recipe = replace(recipe, dropout=rates[0] if rates else 0.0)
        if isinstance(settings["learning_rate"], str):
            rate = recipe.learning_rate if self.learning_rate is None else self.learning_rate
            recipe = replace(recipe, learning_rate=rate, sweeps=False)
        return recipe


_WAY_OUT = "what goes on keeps its networks: leave it as it was, or fit anew with warm_start=False"
