"""The exact loss as a torch function."""

import numpy as np
import pytest
import torch

from tegum.numerics import exact_loss
from tegum.theory import Features, InputError, expected_loss, optimal_model


def tensors(*shape_w, shape_b, seed=0):
    rng = torch.Generator().manual_seed(seed)
    w = torch.randn(*shape_w, generator=rng, dtype=torch.float64, requires_grad=True)
    b = torch.randn(*shape_b, generator=rng, dtype=torch.float64).mul(0.3).requires_grad_()
    return w, b


def test_value_and_gradient_by_gradcheck():
    w, b = tensors(2, 2, 4, shape_b=(2, 4))
    features = Features(0.4, [1.0, 0.8, 0.6, 0.4])
    assert torch.autograd.gradcheck(lambda x, y: exact_loss(x, y, features), (w, b), eps=1e-5, atol=1e-6)
    assert np.allclose(exact_loss(w, b, features).detach(), expected_loss(w.detach(), b.detach(), features), atol=1e-12)


def test_broadcast_axes_are_summed_in_the_gradient():
    w, b = tensors(3, 1, 2, 3, shape_b=(3,))
    features = Features(np.array([[0.1], [0.5]]), n=3)
    loss = exact_loss(w, b, features)
    assert loss.shape == (3, 2)
    assert torch.autograd.gradcheck(lambda x, y: exact_loss(x, y, features), (w, b), eps=1e-5, atol=1e-6)


@pytest.mark.slow
def test_beyond_the_vertex_sum():
    w, b = tensors(3, 10, shape_b=(10,))
    assert torch.autograd.gradcheck(
        lambda x, y: exact_loss(x, y, Features(0.3, n=10), atol=1e-11), (w, b), eps=1e-4, atol=1e-5
    )


@pytest.mark.slow
def test_any_optimiser_and_parametrisation_reaches_the_optimum():
    """Adam on logarithmic norms and angles of a pentagon, which theory does not use."""
    features = Features(0.1, n=5)
    log_norm = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    angle = (torch.arange(5, dtype=torch.float64) * 1.2).requires_grad_()
    bias = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([log_norm, angle, bias], lr=0.01)
    for _ in range(600):
        optimiser.zero_grad()
        weights = log_norm.exp() * torch.stack([angle.cos(), angle.sin()])
        loss = exact_loss(weights, bias, features)
        loss.backward()
        optimiser.step()
    assert loss.item() == pytest.approx(optimal_model(features, 2, restarts=4).loss, abs=1e-6)


def test_wrong_dtype_and_shape_are_named():
    with pytest.raises(InputError, match=r"weights must be a float64 tensor.*got torch.float32"):
        exact_loss(torch.zeros(1, 2), torch.zeros(2, dtype=torch.float64), Features(0.1, n=2))
    with pytest.raises(InputError, match="bias must have shape"):
        exact_loss(torch.zeros(1, 2, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), Features(0.1, n=2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_tensors_on_a_gpu():
    w = torch.tensor([[1.0, -1.0]], dtype=torch.float64, device="cuda", requires_grad=True)
    loss = exact_loss(w, torch.zeros(2, dtype=torch.float64, device="cuda"), Features(0.1, n=2))
    loss.backward()
    assert loss.device.type == w.grad.device.type == "cuda"
