//! The inverse square root of a matrix, for whitening.

use ndarray::Array2;

/// Most iterations; each makes the root of the least eigenvalue at least 1.5 times larger until it is near 1.
const MOST_ITERATIONS: usize = 200;

/// `A^(-1/2)` of a symmetric matrix with eigenvalues above 0, which takes only products of matrices: the coupled
/// Newton-Schulz iteration `T = (3 I - Z Y) / 2`, `Y <- Y T`, `Z <- T Z` from `Y = A / c` and `Z = I` with `c` no less
/// than the largest eigenvalue; then `Z` goes to `(A / c)^(-1/2)` (N. J. Higham, "Functions of Matrices", SIAM 2008,
/// section 6.7).
pub(super) fn inverse_root(matrix: &Array2<f64>) -> Array2<f64> {
    let n = matrix.nrows();
    // No eigenvalue is larger than the largest sum of magnitudes of a row.
    let sums = matrix.rows().into_iter().map(|row| row.iter().map(|value| value.abs()).sum::<f64>());
    let scale = sums.fold(f64::MIN_POSITIVE, f64::max);
    let mut root = matrix / scale;
    let mut inverse = Array2::<f64>::eye(n);
    let mut before = f64::INFINITY;
    for _ in 0..MOST_ITERATIONS {
        let mut step = inverse.dot(&root) * -0.5;
        step.diag_mut().mapv_inplace(|value| value + 1.5);
        root = root.dot(&step);
        inverse = step.dot(&inverse);
        step.diag_mut().mapv_inplace(|value| value - 1.0);
        let change = step.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        // Near the end changes are squared in each iteration, until rounding stops them.
        if change < 1e-3 && change >= before {
            break;
        }
        before = change;
    }
    inverse / scale.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// `B A B = I` of random `A = M M' + e I`, with least eigenvalues down to a hundred-millionth of the largest.
        #[test]
        fn it_is_the_inverse_of_the_root(
            n in 1..9_usize,
            digits in 0..8_i32,
            values in prop::collection::vec(-1.0..1.0, 81),
        ) {
            let factor = Array2::from_shape_fn((n, n), |(row, column)| values[row * 9 + column]);
            let mut matrix = factor.dot(&factor.t());
            let least = 10.0_f64.powi(-digits);
            matrix.diag_mut().mapv_inplace(|value| value + least);
            let inverse = inverse_root(&matrix);
            let identity = inverse.dot(&matrix).dot(&inverse);
            let off = (identity - Array2::<f64>::eye(n)).iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            prop_assert!(off < 1e-6, "{off}");
        }
    }
}
