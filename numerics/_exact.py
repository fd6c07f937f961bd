"""Exact loss as a torch function: any optimiser and any parametrisation can train on it, without batch noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.function import once_differentiable

from ..theory import InputError, loss_and_gradient

if TYPE_CHECKING:
    from ..theory import Features


def exact_loss(weights: torch.Tensor, bias: torch.Tensor, features: Features, *, atol: float = 1e-9) -> torch.Tensor:
    """Population loss Σ_i I_i E (x_i - ReLU(W_i·W x + b_i))² as a differentiable torch function of weights and bias.

    weights (..., m, n), bias (..., n), both float64; the result has the leading axes they share with `features`. Value and first
    derivatives are those of `tegum.theory.loss_and_gradient`; there are no second ones. It is evaluated on the CPU whatever
    the device of the tensors, and the results are moved back.
    Grade NUMERIC. Raises InputError as `expected_loss` does, and for tensors that are not float64.

    >>> from tegum.theory import Features
    >>> w = torch.tensor([[1.0, -1.0]], dtype=torch.float64, requires_grad=True)
    >>> loss = exact_loss(w, torch.zeros(2, dtype=torch.float64), Features(0.3, n=2))
    >>> loss.backward()
    >>> round(loss.item(), 12), w.grad.tolist()[0][0] < 0
    (0.03, True)
    """
    for name, tensor in (("weights", weights), ("bias", bias)):
        if tensor.dtype != torch.float64:
            raise InputError(
                f"{name} must be a float64 tensor (the exact loss resolves 1e-9), got {tensor.dtype}; use .double()"
            )
    result: torch.Tensor = _ExactLoss.apply(weights, bias, features, atol)  # type: ignore[no-untyped-call]
    return result


class _ExactLoss(torch.autograd.Function):
    """Gradients are computed with the value, and kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, weights: torch.Tensor, bias: torch.Tensor, features: Features, atol: float) -> torch.Tensor:
        """The loss, per instance."""
        w, b = weights.detach().cpu().numpy(), bias.detach().cpu().numpy()
        loss, d_weights, d_bias = (
            torch.as_tensor(x).to(weights.device) for x in loss_and_gradient(w, b, features, atol=atol)
        )
        ctx.save_for_backward(d_weights, d_bias)
        ctx.shapes = weights.shape, bias.shape
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        """Leading axes that were broadcast are summed over."""
        d_weights, d_bias = ctx.saved_tensors
        weights, bias = ctx.shapes
        return (
            (grad[..., None, None] * d_weights).sum_to_size(weights),
            (grad[..., None] * d_bias).sum_to_size(bias),
            None,
            None,
        )
