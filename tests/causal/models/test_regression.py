"""Regressions where they are right, district fits where errors correlate, and a refusal at a bow."""

import numpy as np

from cogorch_dagster.causal.models import regression


def matrices(p: int, edges: list[tuple[int, int]], ties: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    directed, bidirected = np.zeros((p, p), dtype=bool), np.zeros((p, p), dtype=bool)
    for i, j in edges:
        directed[i, j] = True
    for i, j in ties:
        bidirected[i, j] = bidirected[j, i] = True
    return directed, bidirected


def implied(coefficients: np.ndarray, omega: np.ndarray) -> np.ndarray:
    effects = np.linalg.inv(np.eye(len(omega)) - coefficients)
    return effects.T @ omega @ effects


def test_without_hidden_causes_they_are_least_squares() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 4)) @ rng.standard_normal((4, 4)) * [1, 100, 0.01, 1]
    directed, none = matrices(4, [(0, 2), (1, 2), (0, 3), (2, 3)], [])
    found = regression.fitted(np.cov(x.T, bias=True)[None], directed, none)
    centred = x - x.mean(axis=0)
    for j, causes in ((2, [0, 1]), (3, [0, 2])):
        wanted, residual = np.linalg.lstsq(centred[:, causes], centred[:, j], rcond=None)[:2]
        assert np.allclose(found.coefficients[0, causes, j], wanted, rtol=1e-6)
        assert np.allclose(found.variances[0, j], residual[0] / 80, rtol=1e-6)
    assert not found.unidentified.any()


def test_correlated_errors_are_fitted_where_a_regression_is_biased() -> None:
    # x -> m -> y with x <-> y, and a second district that ties m to a cause of z.
    directed, ties = matrices(5, [(0, 1), (1, 2), (2, 3), (4, 3)], [(0, 2), (2, 3)])
    ties[2, 3] = ties[3, 2] = False
    ties[1, 3] = ties[3, 1] = True
    coefficients = np.zeros((5, 5))
    for (i, j), value in {(0, 1): 0.8, (1, 2): -1.2, (2, 3): 0.7, (4, 3): 2.0}.items():
        coefficients[i, j] = value
    omega = np.eye(5) * [1.0, 0.5, 2.0, 1.0, 1.0]
    omega[0, 2] = omega[2, 0] = 0.9
    omega[1, 3] = omega[3, 1] = -0.4
    sigma = implied(coefficients, omega)
    found = regression.fitted(np.stack([sigma, sigma * 2]), directed, ties)
    assert np.allclose(found.coefficients, coefficients, atol=1e-6)
    assert np.allclose(found.variances, np.stack([omega.diagonal(), 2 * omega.diagonal()]), atol=1e-6)
    assert not found.unidentified.any()
    plain = regression.fitted(sigma[None], directed, np.zeros_like(ties))
    assert abs(plain.coefficients[0, 1, 2] + 1.2) > 0.1


def test_a_bow_leaves_its_equation_unidentified_and_no_other() -> None:
    directed, ties = matrices(4, [(0, 1), (1, 2), (0, 3)], [(0, 1)])
    coefficients = np.zeros((4, 4))
    coefficients[0, 1], coefficients[1, 2], coefficients[0, 3] = 1.0, 0.5, -0.3
    omega = np.eye(4)
    omega[0, 1] = omega[1, 0] = 0.6
    found = regression.fitted(implied(coefficients, omega)[None], directed, ties)
    assert found.unidentified.tolist() == [False, True, False, False]
    assert np.allclose(found.coefficients[0, :, 2:], coefficients[:, 2:], atol=1e-9)


def test_a_cause_that_is_constant_in_a_draw_has_no_effect() -> None:
    directed, none = matrices(2, [(0, 1)], [])
    found = regression.fitted(np.array([[[0.0, 0.0], [0.0, 3.0]]]), directed, none)
    assert found.coefficients[0, 0, 1] == 0
    assert found.variances[0, 1] == 3
