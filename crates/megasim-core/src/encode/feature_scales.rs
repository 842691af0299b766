//! Scales of single features: numbers of samples as rates, `(x - offset) / scale`.

use serde::{Deserialize, Serialize};

/// What the spikes of each feature (or each channel of maps) stand for: none `offset`, one per millisecond
/// `offset + scale`, and one below 0 per millisecond `offset - scale`.
///
/// ```
/// use megasim_core::encode::FeatureScales;
///
/// let scales = FeatureScales::new(vec![2.0, 100.0], vec![0.0, 500.0])?;
/// // Number 1 of samples that have two numbers is feature 1.
/// assert_eq!(scales.rate(1, 2, 450.0), -0.5);
/// assert_eq!(scales.value(1, 2, -0.5), 450.0);
/// assert!(FeatureScales::new(vec![0.0], vec![0.0]).is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct FeatureScales {
    scales: Vec<f64>,
    offsets: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    scales: Vec<f64>,
    offsets: Vec<f64>,
}

impl TryFrom<Stored> for FeatureScales {
    type Error = String;

    fn try_from(Stored { scales, offsets }: Stored) -> Result<Self, String> {
        Self::new(scales, offsets)
    }
}

impl FeatureScales {
    /// One scale above 0 and one offset for each feature or channel.
    ///
    /// # Errors
    /// If there are none, if their numbers differ, or for one that is no such number in single precision.
    pub fn new(scales: Vec<f64>, offsets: Vec<f64>) -> Result<Self, String> {
        if scales.is_empty() || scales.len() != offsets.len() {
            let (scales, offsets) = (scales.len(), offsets.len());
            return Err(format!("expected a scale and an offset for each feature, found {scales} and {offsets}"));
        }
        let is_scale = |scale: f64| (scale as f32) > 0.0 && (scale as f32).is_finite();
        if let Some(scale) = scales.iter().find(|scale| !is_scale(**scale)) {
            return Err(format!("expected scales of features above 0, found {scale}"));
        }
        if let Some(offset) = offsets.iter().find(|offset| !(**offset as f32).is_finite()) {
            return Err(format!("expected finite offsets of features, found {offset}"));
        }
        Ok(Self { scales, offsets })
    }

    /// One for each feature or channel.
    pub fn scales(&self) -> &[f64] {
        &self.scales
    }

    /// One for each feature or channel.
    pub fn offsets(&self) -> &[f64] {
        &self.offsets
    }

    /// Whether samples of this many numbers have whole channels.
    pub fn fits(&self, numbers: usize) -> bool {
        numbers > 0 && numbers.is_multiple_of(self.scales.len())
    }

    /// The feature or channel of a number of a sample, which has `numbers` of them.
    fn feature(&self, number: usize, numbers: usize) -> usize {
        number / (numbers / self.scales.len()).max(1)
    }

    /// Spikes per millisecond for a value of a number of a sample, which has `numbers` of them.
    pub fn rate(&self, number: usize, numbers: usize, value: f32) -> f32 {
        let feature = self.feature(number, numbers);
        ((f64::from(value) - self.offsets[feature]) / self.scales[feature]) as f32
    }

    /// The value that a rate in spikes per millisecond stands for.
    pub fn value(&self, number: usize, numbers: usize, rate: f32) -> f32 {
        let feature = self.feature(number, numbers);
        (f64::from(rate) * self.scales[feature] + self.offsets[feature]) as f32
    }
}
