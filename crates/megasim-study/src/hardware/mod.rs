//! Machines as people describe them: TOML files with units, resolved against a network to the ticks of the timed
//! engine.
//!
//! [`Hardware`] is a file, read and checked by itself; [`Hardware::resolve`] applies it to a network and
//! gives [`Resolved`]: the [`Machine`](megasim_core::engine::machine::Machine) with the energies next to it, and where
//! every value came from. `docs/timing.md` has the keys and their meaning. What was measured is fitted ([`fit()`]),
//! what ran is written down ([`write_log`], [`write_trace`]).

mod calibrate;
mod change;
mod cores;
mod error;
mod file;
mod layers;
mod log;
mod patterns;
mod quantity;
mod rank;
mod resolve;
mod trace;
mod work;

pub use calibrate::{CalibrationError, Fit, fit};
pub use change::Change;
pub use cores::{CoreUse, Cores};
pub use error::{Error, TextError};
pub use layers::{ModuleLayer, module_name};
pub use log::{LogError, LogLine, parse_log, write_log};
pub use patterns::PatternUse;
pub use quantity::{Duration, Quantity, energy, power};
pub use resolve::{Energies, Origin, Resolved, Row, TargetNetwork, Value};
pub use trace::{MOST_EVENTS, write_trace};
pub use work::{Agreement, Work};

use error::Source;
use file::{BarrierRule, CoresRule, LinkRule, MeshRule, Placement, Rule};
use std::path::Path;

/// The machines that come with the program.
pub const SHIPPED: [(&str, &str); 3] = [
    ("ideal", include_str!("machines/ideal.toml")),
    ("serial-aer", include_str!("machines/serial-aer.toml")),
    ("loihi", include_str!("machines/loihi.toml")),
];

/// A machine as a file describes it.
///
/// ```
/// use megasim_study::hardware::Hardware;
/// let hardware = Hardware::parse("mine.toml".as_ref(), r#"
///     tick = "0.1 ns"
///     [all]
///     delay_to_process = "16 ns"
///     [kind.conv]
///     time_per_operation = "3.1 ns"
/// "#)?;
/// assert_eq!(hardware.name(), "mine");
/// let error = Hardware::parse("mine.toml".as_ref(), "[all]\ndelay_to_proces = \"16 ns\"\n").unwrap_err();
/// assert_eq!(error.to_string(), "mine.toml:2: unknown key `delay_to_proces`; did you mean `delay_to_process`?");
/// # Ok::<(), megasim_study::hardware::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Hardware {
    source: Source,
    /// How long the file itself is; behind it the source has the lines of changes.
    length: usize,
    changes: Vec<Change>,
    name: String,
    tick: Option<Duration>,
    static_power: f64,
    energy_per_mac: f64,
    energy_per_mac_bit: f64,
    rules: Vec<Rule>,
    links: Vec<LinkRule>,
    mesh: Option<MeshRule>,
    barrier: Option<BarrierRule>,
    cores: Option<CoresRule>,
    strict: bool,
}

impl Hardware {
    /// A shipped machine by its name, or a file.
    ///
    /// # Errors
    /// If there is neither, or if the file is wrong.
    pub fn open(name_or_path: &Path) -> Result<Self, Error> {
        if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| Path::new(name) == name_or_path) {
            return Self::parse(Path::new(name), text);
        }
        let text = std::fs::read_to_string(name_or_path)
            .map_err(|source| Error::Read { path: name_or_path.into(), source })?;
        Self::parse(name_or_path, &text)
    }

    /// Reads a text; `path` is what faults call it.
    ///
    /// # Errors
    /// If something in it is wrong, with line and hint.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        file::parse(path, text, Vec::new())
    }

    /// What it is called: its `name`, or that of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a pattern that matches nothing in a network is an error; else it is a warning, so that one file fits
    /// many networks.
    ///
    /// ```
    /// use megasim_study::hardware::{Hardware, ModuleLayer};
    /// # use megasim_core::network::*;
    /// # let mut builder = NetworkBuilder::new();
    /// # let kind = ModuleKind::Flatten(vec![]);
    /// # let timing = Timing::default();
    /// # builder.module(Module { kind, inputs: vec![], timing, not_programmable: false }, &["flat"])?;
    /// # let network = builder.build(10)?;
    /// let layers = ModuleLayer::of_network(&network);
    /// let hardware = Hardware::parse("mine.toml".as_ref(), "[layer.conv]\nfifo_depth = 4\n")?;
    /// let warnings = hardware.resolve(&network, &layers, None)?.warnings;
    /// assert_eq!(warnings, ["mine.toml:1: no layer matches `conv`; there are flat"]);
    /// assert!(hardware.strict(true).resolve(&network, &layers, None).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn strict(self, strict: bool) -> Self {
        Self { strict, ..self }
    }

    /// Whether the file says how long a tick is.
    pub(crate) fn has_tick(&self) -> bool {
        self.tick.is_some()
    }

    /// Whether cores are placed by the spikes of some samples ([`TargetNetwork::spikes`]).
    pub fn wants_spikes(&self) -> bool {
        self.cores.as_ref().is_some_and(|cores| cores.placement == Placement::Traffic)
    }

    /// How long a tick is; none where the file has no times.
    pub fn tick(&self) -> Option<Duration> {
        self.tick
    }
}
