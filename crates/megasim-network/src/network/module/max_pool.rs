//! `module_max_pool`: windows that pass the spikes of one of their inputs, or integrate, or count.

use super::MAX_NEURONS;
use super::check::range;
use super::kind::{Kind, NodeValues, ReadArray};
use crate::equations::Decay;
use crate::network::{NetworkError, Tick, at_least};

/// `module_max_pool`: port 0 carries the data, further ports only resets and controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxPool {
    /// All ports; those after the first have 0 for every size and offset and 1 for the strides.
    pub ports: Vec<PoolPort>,
    /// What windows do with the events of their inputs.
    pub rule: PoolRule,
}

/// What the windows of a max-pooling module do with events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PoolRule {
    /// They pass the spikes of their busiest input.
    #[default]
    Busiest,
    /// Extension keys: they integrate the largest mask of their inputs.
    Mask(PoolMask),
    /// Extension key `signed`: they count the spikes of each input with their signs, and send the change of the largest
    /// count, one spike for each step.
    Signed,
    /// Extension key `average_over`: they pass the spikes of the input that has fired most in the last ticks, a moving
    /// average.
    Average {
        /// How many ticks, 1 or more.
        over: Tick,
    },
    /// Extension key `leak_decay`: they pass the spikes of the input with the highest exponentially decaying average.
    Exponential {
        /// The part of it that is lost per tick, in 2^-30; 1 to 2^30.
        decay: i32,
    },
}

impl MaxPool {
    /// The masks, where windows integrate.
    pub fn mask(&self) -> Option<PoolMask> {
        match self.rule {
            PoolRule::Mask(mask) => Some(mask),
            PoolRule::Busiest | PoolRule::Signed | PoolRule::Average { .. } | PoolRule::Exponential { .. } => None,
        }
    }
}

/// Masks of the inputs of a max-pooling module, and neurons that integrate the largest of each window: a spike adds
/// `weight` to the mask of its address; a control event adds one part in `tau` of the window's largest mask to its
/// potential, makes it spike and go to 0 at `threshold`, and then takes that part from every mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolMask {
    /// `mask_tau`, 1 or more.
    pub tau: i32,
    /// `mask_weight`.
    pub weight: i32,
    /// `THplus`, 1 or more.
    pub threshold: i32,
}

/// Geometry of a max-pooling port. Window `(X, Y)`, `X` in `0..nx_out`, covers the addresses
/// `X * x_stride + dx .. X * x_stride + dx + nx_pool - 1` inside the array; likewise `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the netfile keys
pub struct PoolPort {
    pub nx: u32,
    pub ny: u32,
    pub nx_pool: u32,
    pub ny_pool: u32,
    pub dx: i32,
    pub dy: i32,
    pub x_stride: i32,
    pub y_stride: i32,
    pub nx_out: u32,
    pub ny_out: u32,
}

impl PoolPort {
    /// A port that carries only resets.
    pub const RESET: Self =
        Self { nx: 0, ny: 0, nx_pool: 0, ny_pool: 0, dx: 0, dy: 0, x_stride: 1, y_stride: 1, nx_out: 0, ny_out: 0 };
}

impl Kind for MaxPool {
    fn ports(&self) -> usize {
        self.ports.len()
    }

    fn check(&self) -> Result<(), NetworkError> {
        if let Some(mask) = self.mask() {
            at_least("mask_tau", mask.tau.into(), 1)?;
            at_least("THplus", mask.threshold.into(), 1)?;
        }
        match self.rule {
            PoolRule::Average { over } => at_least("average_over", over, 1)?,
            PoolRule::Exponential { decay } if !(1..=Decay::WHOLE).contains(&decay) => {
                return Err(range("leak_decay", "1 to 1073741824, which is 2^30, in max pool", decay));
            }
            _ => {}
        }
        for (k, port) in self.ports.iter().enumerate() {
            at_least("x_stride", port.x_stride.into(), 1)?;
            at_least("y_stride", port.y_stride.into(), 1)?;
            let arrays = [(port.nx, port.ny), (port.nx_out, port.ny_out)];
            for found in arrays.map(|(nx, ny)| u64::from(nx) * u64::from(ny)) {
                if found > MAX_NEURONS {
                    return Err(NetworkError::TooLarge { found });
                }
            }
            if k > 0 && *port != PoolPort::RESET {
                return Err(range("Nx_array", "0 for all but the strides of a reset port", port.nx));
            }
        }
        Ok(())
    }

    /// Only the first port takes spikes.
    fn read_array(&self, port: usize) -> Option<ReadArray> {
        let PoolPort { nx, ny, .. } = self.ports[port];
        (port == 0).then_some(ReadArray { nx, ny, stops: false })
    }

    fn sends_negative(&self) -> Option<bool> {
        (self.rule == PoolRule::Signed).then_some(true)
    }

    fn sent_array(&self) -> Option<(u64, u64)> {
        self.ports.first().map(|port| (port.nx_out.into(), port.ny_out.into()))
    }

    fn passed(&self, read: &[Option<&NodeValues>]) -> Result<NodeValues, &'static str> {
        let (port, read) = (&self.ports[0], read[0].ok_or("values and spikes meet in a max-pool module")?);
        let cell = |x: i64, y: i64| {
            let inside = (0..i64::from(port.nx)).contains(&x) && (0..i64::from(port.ny)).contains(&y);
            if inside { read.values.get((y * read.nx as i64 + x) as usize).copied().unwrap_or(0.0) } else { 0.0 }
        };
        let mut values = Vec::new();
        for y in 0..i64::from(port.ny_out) {
            for x in 0..i64::from(port.nx_out) {
                let left = x * i64::from(port.x_stride) + i64::from(port.dx);
                let top = y * i64::from(port.y_stride) + i64::from(port.dy);
                let window = (0..i64::from(port.ny_pool))
                    .flat_map(|j| (0..i64::from(port.nx_pool)).map(move |i| (left + i, top + j)));
                values.push(window.map(|(x, y)| cell(x, y)).fold(0.0, f64::max));
            }
        }
        Ok(NodeValues { nx: port.nx_out.max(1) as usize, values })
    }
}
