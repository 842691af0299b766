//! A parameter over a range: which values it takes, and the table of what came out at each.
//!
//! A point is measured in both modes ([`measure`]) or on a machine ([`MachineFigures`]).

mod both_modes;
mod conversion;
mod error;
mod machine;
mod modes;
mod on_machine;
mod parameters;
mod plan;
mod run;
mod study;

pub use error::SweepError;
pub use machine::{Bottleneck, BusiestResource, MachineFigures};
pub use modes::{Error, Figures, ModeFigures, Samples, Setup, measure};
pub use on_machine::MachineSubject;
pub use parameters::Over;
pub use plan::{SweepOptions, SweepPlan};
pub use run::sweep;
pub use study::Store;

use crate::hardware::Quantity;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Most values of a range.
pub const MOST_VALUES: usize = 100_000;

/// The values of a parameter: `1,2,5` a list, `10..100:4` four equally spaced, `log:1..1000:4` four equally spaced in
/// their logarithms, `random:0..1:5` five drawn evenly, `random-log:1..1000:5` five whose logarithms are. Ends of a
/// range may have units, as `1 ns..1 us:4`; its values have that of the first end, or of the second where the first has
/// none.
///
/// ```
/// use megasim_study::sweep::values;
/// assert_eq!(values("10..40:4", 0)?, ["10", "20", "30", "40"]);
/// assert_eq!(values("log:1..1000:4", 0)?, ["1", "10", "100", "1000"]);
/// assert_eq!(values("regular,poisson", 0)?, ["regular", "poisson"]);
/// assert_eq!(values("log:1 ns..1 us:4", 0)?, ["1 ns", "10 ns", "100 ns", "1000 ns"]);
/// assert_eq!(values("random:0..1:3", 7)?, values("random:0..1:3", 7)?);
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// What is wrong with the text.
pub fn values(text: &str, seed: u64) -> Result<Vec<String>, String> {
    let (kind, range) = match text.split_once(':') {
        Some((kind @ ("log" | "random" | "random-log" | "linear"), rest)) => (kind, rest),
        _ => ("linear", text),
    };
    let Some((from, rest)) = range.split_once("..") else {
        if kind != "linear" || text.is_empty() {
            return Err(format!("expected {kind}:FROM..TO:COUNT, found `{text}`"));
        }
        return Ok(text.split(',').map(|value| value.trim().to_string()).collect());
    };
    let wrong = || format!("expected FROM..TO:COUNT, found `{range}`");
    let (to, count) = rest.split_once(':').ok_or_else(wrong)?;
    let ends = [from.trim(), to.trim()];
    let unit: Option<Quantity> = ends.iter().find_map(|end| end.parse().ok());
    let number = |text: &str| -> Result<f64, String> {
        let plain = text.parse::<f64>().ok().filter(|value| value.is_finite());
        match (plain, unit) {
            (Some(value), None) => Ok(value),
            // Without a unit it is in that of the other end.
            (Some(value), Some(unit)) => Ok(unit.one() * value),
            (None, Some(unit)) => {
                let of_that_kind = text.parse::<Quantity>().ok().filter(|quantity| quantity.base == unit.base);
                of_that_kind.map(|quantity| quantity.value).ok_or_else(wrong)
            }
            (None, None) => Err(wrong()),
        }
    };
    let (from, to) = (number(ends[0])?, number(ends[1])?);
    let count: usize = count.trim().parse().ok().filter(|n| (1..=MOST_VALUES).contains(n)).ok_or_else(wrong)?;
    let logarithmic = kind.ends_with("log");
    if logarithmic && (from <= 0.0 || to <= 0.0) {
        return Err(format!("expected numbers above 0 for a logarithmic range, found `{range}`"));
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let values = (0..count).map(|k| {
        let share = match kind {
            "random" | "random-log" => random.random::<f64>(),
            _ if count == 1 => 0.0,
            _ => k as f64 / (count - 1) as f64,
        };
        let value = if logarithmic { (from.ln() + share * (to / from).ln()).exp() } else { from + share * (to - from) };
        if let Some(unit) = unit {
            return unit.in_unit_of(value);
        }
        // Twelve digits: what a logarithm leaves of 100 is 100.
        let rounded: f64 = format!("{value:.11e}").parse().unwrap_or(value);
        rounded.to_string()
    });
    Ok(values.collect())
}

/// A swept parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// Whether its values were spaced by their logarithms.
    pub logarithmic: bool,
}

/// Figures of a point, as a row of a table.
pub trait Measured {
    /// Names of the columns, units included.
    fn columns() -> Vec<String>;

    /// The numbers under them.
    fn cells(&self) -> Vec<String>;
}

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point<F> {
    /// The value of each parameter.
    pub values: Vec<String>,
    /// What came out.
    #[serde(flatten)]
    pub figures: F,
}

/// What came out of a sweep, so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep<F> {
    /// The parameters.
    pub parameters: Vec<Axis>,
    /// The points that are done, in their order.
    pub points: Vec<Point<F>>,
}

impl<F: Measured> Sweep<F> {
    /// Names of the columns of a table: the parameters, then the figures.
    pub fn columns(&self) -> Vec<String> {
        self.parameters.iter().map(|axis| axis.name.clone()).chain(F::columns()).collect()
    }

    /// The rows of that table.
    pub fn rows(&self) -> impl Iterator<Item = Vec<String>> + '_ {
        self.points.iter().map(|point| point.values.iter().cloned().chain(point.figures.cells()).collect())
    }
}
