"""The exact loss as a torch function."""

import numpy as np
import pytest
import torch

from tegum.numerics import _exact, exact_loss, exact_map_loss
from tegum.numerics._sums import torch_contour_errors
from tegum.theory import Features, InputError, beta_values, expected_loss, loss_and_gradient, optimal_model
from tegum.theory._maps import rectified_loss
from tegum.theory._method import solve_rows


def tensors(*shape_w, shape_b, seed=0):
    rng = torch.Generator().manual_seed(seed)
    w = torch.randn(*shape_w, generator=rng, dtype=torch.float64, requires_grad=True)
    b = torch.randn(shape_b, generator=rng, dtype=torch.float64).mul(0.3).requires_grad_()
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


def test_value_and_gradient_are_those_of_theory():
    w, b = tensors(3, 2, 4, shape_b=(4,))
    features = Features.correlated(0.3, n=4, size=2, values=beta_values(1, 2))
    loss = exact_loss(w, b, features)
    loss.sum().backward()
    expected, d_weights, d_bias = loss_and_gradient(w.detach(), b.detach(), features)
    assert np.allclose(loss.detach(), expected, rtol=0, atol=1e-13)
    assert np.allclose(w.grad, d_weights, rtol=0, atol=1e-13)
    assert np.allclose(b.grad, d_bias.sum(0), rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape_b", [(2,), (2, 2), ()])
def test_maps_by_gradcheck(shape_b):
    a, b = tensors(2, 2, 3, shape_b=shape_b)
    rng = np.random.default_rng(0)
    target, importance = rng.standard_normal((2, 3)), rng.uniform(0.5, 1, 2)

    def loss(x, y):
        return exact_map_loss(x, y, Features(0.4, n=3), target=target, importance=importance)

    assert torch.autograd.gradcheck(loss, (a, b), eps=1e-5, atol=1e-6)
    expected = rectified_loss(a.detach(), b.detach(), Features(0.4, n=3), target=target, importance=importance).loss
    assert np.allclose(loss(a, b).detach(), expected, rtol=0, atol=1e-14)


def test_maps_beyond_the_vertex_sum_by_gradcheck():
    a, b = tensors(2, 2, 10, shape_b=(2,))
    target = np.eye(2, 10)

    def loss(x, y):
        return exact_map_loss(x, y, Features(0.3, n=10), target=target, importance=[1.0, 0.5], atol=1e-11)

    assert torch.autograd.gradcheck(loss, (a, b), eps=1e-4, atol=1e-5)


def test_instances_are_independent_of_each_other():
    a, b = tensors(3, 10, 10, shape_b=(3, 10))
    features = Features(np.array([0.05, 0.2, 0.6])[:, None], n=10)
    together = exact_map_loss(a, b, features)
    alone = [exact_map_loss(a[i], b[i], Features(features.density[i])) for i in range(3)]
    assert together.shape == (3,)
    assert np.allclose(together.detach(), torch.stack(alone).detach(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("method", ["theory", "torch"])
def test_derivatives_are_computed_only_where_asked_for(method, monkeypatch):
    """And the sums in torch stand in for the compiled ones, as they do for CUDA tensors."""
    w, b = tensors(3, 12, shape_b=(12,))
    features = Features(0.2, n=12)
    expected, d_weights, _ = loss_and_gradient(w.detach(), b.detach(), features)
    asked = []
    solve = solve_rows if method == "theory" else lambda *arguments: torch_contour_errors(*arguments, "cpu")

    def record(problems, tolerance, gradient):
        asked.append(gradient)
        return solve(problems, tolerance, gradient)

    monkeypatch.setattr(_exact, "solve_rows", record)
    constant = exact_loss(w.detach(), b.detach(), features)
    with torch.no_grad():
        switched_off = exact_loss(w, b, features)
    loss = exact_loss(w, b.detach(), features)
    (grad,) = torch.autograd.grad(loss, w)
    assert asked == [False, False, True]
    assert [x.requires_grad for x in (constant, switched_off, loss)] == asked
    assert np.allclose(torch.stack([constant, switched_off, loss]).detach(), expected, rtol=0, atol=1e-12)
    assert np.allclose(grad, d_weights, rtol=0, atol=1e-10)
    assert loss.dtype == torch.float64


@pytest.mark.parametrize("loss", [exact_loss, exact_map_loss])
def test_a_second_derivative_is_refused(loss):
    w, b = tensors(3, 3, shape_b=(3,))
    with pytest.raises(InputError, match="no second derivatives"):
        torch.autograd.grad(loss(w, b, Features(0.2, n=3)), w, create_graph=True)


@pytest.mark.slow
def test_weights_that_are_not_tied_go_below_the_tied_optimum():
    """Three features in one dimension, eight starts at once near tied ones; a control: tied weights trained the same way do not."""
    features = Features(0.1, n=3)
    least = optimal_model(features, 1, restarts=4).loss

    def trained(tied):
        rng = torch.Generator().manual_seed(0)
        encoder = torch.randn(8, 1, 3, generator=rng, dtype=torch.float64)
        decoder = encoder.mT + 0.3 * torch.randn(8, 3, 1, generator=rng, dtype=torch.float64)
        free = [x.requires_grad_() for x in (encoder, decoder, torch.zeros(8, 3, dtype=torch.float64))]
        optimiser = torch.optim.Adam(free, lr=0.1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 200)
        for _ in range(200):
            optimiser.zero_grad()
            loss = exact_map_loss((encoder.mT if tied else decoder) @ encoder, free[2], features)
            loss.sum().backward()
            optimiser.step()
            schedule.step()
        return loss.min().item()

    assert trained(tied=False) < least - 1e-3
    assert least - 1e-9 < trained(tied=True) < least + 1e-4


def test_wrong_dtype_and_shape_are_named():
    with pytest.raises(InputError, match=r"weights must be a float64 tensor.*got torch.float32"):
        exact_loss(torch.zeros(1, 2), torch.zeros(2, dtype=torch.float64), Features(0.1, n=2))
    with pytest.raises(InputError, match="bias must have shape"):
        exact_loss(torch.zeros(1, 2, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), Features(0.1, n=2))
    with pytest.raises(InputError, match=r"matrix must be a float64 tensor.*got torch.float32"):
        exact_map_loss(torch.zeros(2, 2), torch.zeros(2, dtype=torch.float64), Features(0.1, n=2))
    with pytest.raises(InputError, match="target must be given unless the matrix is 2 x 2"):
        exact_map_loss(*(torch.zeros(s, dtype=torch.float64) for s in ((3, 2), (3,))), Features(0.1, n=2))
    with pytest.raises(InputError, match="matrix and bias must be on one device, got cpu and meta"):
        exact_map_loss(*(torch.zeros(2, dtype=torch.float64, device=x) for x in ("cpu", "meta")), Features(0.1, n=2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_tensors_on_a_gpu():
    w = torch.tensor([[1.0, -1.0]], dtype=torch.float64, device="cuda", requires_grad=True)
    loss = exact_loss(w, torch.zeros(2, dtype=torch.float64, device="cuda"), Features(0.1, n=2))
    loss.backward()
    assert loss.device.type == w.grad.device.type == "cuda"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("n", [4, 12])
@pytest.mark.parametrize("kind", ["correlated", "anticorrelated"])
def test_a_gpu_gives_the_loss_and_gradient_of_the_cpu(n, kind):
    features = getattr(Features, kind)(0.2, n=n, size=2)
    found = []
    for device in ("cpu", "cuda"):
        w, b = (x.detach().to(device).requires_grad_() for x in tensors(2, 3, n, shape_b=(n,)))
        loss = exact_loss(w, b, features)
        loss.sum().backward()
        assert loss.device.type == w.grad.device.type == b.grad.device.type == device
        assert loss.dtype == torch.float64
        found.append([x.detach().cpu() for x in (loss, w.grad, b.grad)])
    for one, other, atol in zip(*found, (1e-12, 1e-10, 1e-10), strict=True):
        assert np.allclose(one, other, rtol=0, atol=atol)
