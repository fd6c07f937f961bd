"""Exact loss as a torch function: any optimiser and any parametrisation can train on it, without batch noise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..theory import Features, InputError
from ..theory._loss import _model
from ..theory._maps import map_loss
from ..theory._method import is_exact, solve_rows
from ._sums import torch_contour_errors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def exact_loss(weights: torch.Tensor, bias: torch.Tensor, features: Features, *, atol: float = 1e-9) -> torch.Tensor:
    """Population loss Σ_i I_i E (x_i - ReLU(W_i·W x + b_i))² as a differentiable torch function of weights and bias.

    weights (..., m, n), bias (..., n) or 0-dimensional, float64 on one device; the result has the leading axes they share with
    `features`. It is `exact_map_loss` of A = WᵀW, whose remarks on methods, devices and derivatives hold: value and gradient are
    those of `tegum.theory.loss_and_gradient`.
    Grade NUMERIC. Raises InputError as `expected_loss` does, and for tensors that are not float64 or not on one device.

    >>> w = torch.tensor([[1.0, -1.0]], dtype=torch.float64, requires_grad=True)
    >>> loss = exact_loss(w, torch.zeros(2, dtype=torch.float64), Features(0.3, n=2))
    >>> loss.backward()
    >>> round(loss.item(), 12), w.grad.tolist()[0][0] < 0
    (0.03, True)
    """
    _check_tensors(weights=weights, bias=bias)
    _model(_numpy(weights), _numpy(bias), features)
    return exact_map_loss(weights.mT @ weights, bias, features, atol=atol)


def exact_map_loss(
    matrix: torch.Tensor,
    bias: torch.Tensor,
    features: Features,
    *,
    target: ArrayLike | None = None,
    importance: ArrayLike | None = None,
    atol: float = 1e-9,
) -> torch.Tensor:
    """Loss Σ_i I_i E (T_i - ReLU(A_i·x + b_i))² of a rectified affine map, T = Cx, as a differentiable torch function of A and b.

    matrix A (..., k, n), bias b (..., k) or 0-dimensional, float64 on one device; target C (k, n), the identity unless given;
    importance I (..., k), that of the features unless given: both arrays, not differentiated. The result, float64 on that device,
    has the leading axes that the arguments share with `features`. Value and first derivatives are those of
    `tegum.theory.rectified_loss`, which says what is covered; there are no second ones, and none at all are computed where no
    tensor requires a gradient. The rows are computed on the CPU, but contour sums of CUDA tensors on their device.
    Grade NUMERIC. Raises InputError as `rectified_loss` does, for tensors that are not float64 or not on one device,
    and from `backward` with create_graph.

    Weights that are not tied, A = W₂W₁. An antipodal pair at density 0.1 loses 2 p²/6 = 1/300 with W₂ = W₁ᵀ; a step down the
    gradient of both goes lower:

    >>> encoder = torch.tensor([[1.0, -1.0]], dtype=torch.float64, requires_grad=True)
    >>> decoder = torch.tensor([[1.0], [-1.0]], dtype=torch.float64, requires_grad=True)
    >>> bias = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    >>> optimiser = torch.optim.SGD([encoder, decoder, bias], lr=0.1)
    >>> loss = exact_map_loss(decoder @ encoder, bias, Features(0.1, n=2))
    >>> loss.backward()
    >>> optimiser.step()
    >>> round(loss.item(), 12), exact_map_loss(decoder @ encoder, bias, Features(0.1, n=2)).item() < 1 / 300
    (0.003333333333, True)
    """
    _check_tensors(matrix=matrix, bias=bias)
    gradient = torch.is_grad_enabled() and (matrix.requires_grad or bias.requires_grad)
    settings = features, target, importance, atol, gradient
    result: torch.Tensor = _MapLoss.apply(matrix, bias, *settings)  # type: ignore[no-untyped-call]
    return result


def _check_tensors(**tensors: torch.Tensor) -> None:
    """InputError for tensors that are not float64 or not on one device."""
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float64:
            raise InputError(
                f"{name} must be a float64 tensor (the exact loss resolves 1e-9), got {tensor.dtype}; use .double()"
            )
    (one, first), (other, second) = tensors.items()
    if first.device != second.device:
        raise InputError(f"{one} and {other} must be on one device, got {first.device} and {second.device}")


def _numpy(tensor: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The values of a tensor."""
    return tensor.detach().cpu().numpy()


class _MapLoss(torch.autograd.Function):
    """Gradients are computed with the value, and kept for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        matrix: torch.Tensor,
        bias: torch.Tensor,
        features: Features,
        target: ArrayLike | None,
        importance: ArrayLike | None,
        atol: float,
        gradient: bool,
    ) -> torch.Tensor:
        """The loss, per instance."""
        solve = solve_rows
        if matrix.is_cuda and not is_exact(features.law):
            solve = partial(torch_contour_errors, device=matrix.device)
        found = map_loss(
            _numpy(matrix), _numpy(bias), features, target, importance, atol, gradient=gradient, solve=solve
        )
        if gradient:
            ctx.save_for_backward(*(torch.as_tensor(x, device=matrix.device) for x in (found.d_matrix, found.d_bias)))
            ctx.shapes = matrix.shape, bias.shape
        return torch.as_tensor(found.loss, device=matrix.device)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Leading axes that were broadcast are summed over."""
        if torch.is_grad_enabled():
            # What was saved is a constant to torch: second derivatives of a product such as WᵀW would lack a part, silently.
            raise InputError("create_graph must be False: the exact loss has no second derivatives")
        d_matrix, d_bias = ctx.saved_tensors
        matrix, bias = ctx.shapes
        derivatives = (
            (grad[..., None, None] * d_matrix).sum_to_size(matrix),
            (grad[..., None] * d_bias).sum_to_size(bias),
        )
        return *derivatives, None, None, None, None, None
