//! How well spike counts of a presentation stand for activations.

/// Thresholds that are compared with each other.
pub const CANDIDATES: usize = 20;

crate::vectorized! {
    /// Adds the squared errors of activations above 0 that `steps` bias events present to neurons with each of the
    /// thresholds:
    ///
    /// `error += (min(floor(a T / l + 1/2), T) l / T - a)^2`, where counts start at half a threshold. Each sum is in
    /// the order of the activations.
    ///
    /// ```
    /// use megasim_core::rate_error::{CANDIDATES, add_squared_errors};
    /// let mut errors = [0.0; CANDIDATES];
    /// add_squared_errors(&[0.4, 0.0, -1.0], 10.0, &[1.0; CANDIDATES], &mut errors);
    /// assert!(errors[0] < 1e-12);
    /// ```
    pub fn add_squared_errors(
        activations: &[f32],
        steps: f32,
        thresholds: &[f32; CANDIDATES],
        errors: &mut [f64; CANDIDATES],
    ) {
        for &activation in activations {
            if activation <= 0.0 {
                continue;
            }
            let scaled = activation * steps;
            let differences = thresholds.map(|threshold| {
                let count = scaled / threshold + 0.5;
                let count = if count < steps { count.floor() } else { steps };
                count * threshold / steps - activation
            });
            for (error, difference) in errors.iter_mut().zip(differences) {
                *error += f64::from(difference) * f64::from(difference);
            }
        }
    }
}
