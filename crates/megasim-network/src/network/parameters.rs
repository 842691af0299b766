//! The keys of parameter files: what each of them sets, which values it takes, and whether a file needs it. Reading and
//! writing of netfiles, [`Network::set`](super::Network::set), finer ticks and their messages all use these tables, in
//! which keys have the order in which they are written.

use super::{
    Array, ConvPort, Dynamics, FlattenPort, FullyConnectedPort, NetworkError, NeuronParameters, Output, PoolMask,
    PoolPort, PoolRule, Reset, Signed, Timing,
};
use std::num::NonZeroU32;

/// A key of a block, and the field of `T` that it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter<T: 'static> {
    pub key: &'static str,
    pub range: Range,
    pub presence: Presence,
    /// The value; `None` where this `T` has none.
    get: fn(&T) -> Option<i64>,
    /// Puts a value of the range; says whether this `T` can have it.
    put: fn(&mut T, i64) -> bool,
}

/// The values of a key; [`Module::check`](super::Module::check) has the rules that involve others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    /// 32 bits with a sign.
    Signed,
    /// A size or count, of 32 bits.
    Size,
    /// Ticks, of 64 bits.
    Time,
    /// 0 or 1.
    Flag,
    /// 0, 1 or 2.
    Reset,
    /// 0 to [`MAX_PAYLOAD_BITS`](super::MAX_PAYLOAD_BITS).
    PayloadBits,
}

/// Whether a file has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// A key of the original MegaSim.
    Required,
    /// An extension key. It is left out where the value is this one.
    Extension(i64),
    /// An extension key, left out where there is no value.
    Optional,
}

impl Range {
    pub fn expected(self) -> &'static str {
        match self {
            Self::Signed => "-2147483648 to 2147483647 (32 bits)",
            Self::Size => "0 to 4294967295 (32 bits)",
            Self::Time => "ticks",
            Self::Flag => "0 or 1",
            Self::Reset => "0, 1 or 2",
            Self::PayloadBits => "0 to 16",
        }
    }

    pub fn has(self, value: i64) -> bool {
        match self {
            Self::Signed => i32::try_from(value).is_ok(),
            Self::Size => u32::try_from(value).is_ok(),
            Self::Time => true,
            Self::Flag => (0..=1).contains(&value),
            Self::Reset => (0..=2).contains(&value),
            Self::PayloadBits => (0..=super::MAX_PAYLOAD_BITS.into()).contains(&value),
        }
    }
}

impl<T> Parameter<T> {
    /// The value that a file has, if it has one.
    pub fn written(&self, of: &T) -> Option<i64> {
        (self.get)(of).filter(|&value| self.presence != Presence::Extension(value))
    }

    /// Changes the value; says whether this `T` can have it.
    ///
    /// # Errors
    /// [`NetworkError::Range`]; then nothing is changed.
    pub fn set(&self, of: &mut T, value: i64) -> Result<bool, NetworkError> {
        if !self.range.has(value) {
            let (expected, found) = (self.range.expected().into(), value.to_string());
            return Err(NetworkError::Range { key: self.key, expected, found });
        }
        Ok((self.put)(of, value))
    }

    /// The parameter of a key.
    pub fn find(table: &'static [Self], key: &str) -> Option<&'static Self> {
        table.iter().find(|parameter| parameter.key == key)
    }

    /// Multiplies the times of a table.
    ///
    /// # Errors
    /// [`NetworkError::Range`] for one that then needs more than 64 bits.
    pub fn stretch(table: &'static [Self], of: &mut T, factor: i64) -> Result<(), NetworkError> {
        for parameter in table.iter().filter(|parameter| parameter.range == Range::Time) {
            let Some(time) = (parameter.get)(of) else { continue };
            let stretched = time.checked_mul(factor).ok_or_else(|| NetworkError::Range {
                key: parameter.key,
                expected: format!("at most {}", i64::MAX / factor),
                found: time.to_string(),
            })?;
            (parameter.put)(of, stretched);
        }
        Ok(())
    }
}

/// A parameter that is a field.
macro_rules! field {
    ($key:literal, Flag, $presence:expr, $field:ident) => {
        Parameter {
            key: $key,
            range: Range::Flag,
            presence: $presence,
            get: |of| Some(of.$field.into()),
            put: |of, value| {
                of.$field = value != 0;
                true
            },
        }
    };
    // The value was tested for the range, which is the type of the field.
    ($key:literal, $range:ident, $presence:expr, $field:ident) => {
        Parameter {
            key: $key,
            range: Range::$range,
            presence: $presence,
            get: |of| Some(of.$field.into()),
            put: |of, value| {
                of.$field = value as _;
                true
            },
        }
    };
}

use Presence::{Extension, Optional, Required};

/// How many ports a module has.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PortCounts {
    pub inputs: u32,
    pub outputs: u32,
}

pub(crate) const PORT_COUNTS: &[Parameter<PortCounts>] =
    &[field!("n_in_ports", Size, Required, inputs), field!("n_out_ports", Size, Required, outputs)];

pub(crate) const TIMING: &[Parameter<Timing>] = &[
    field!("delay_to_process", Time, Required, delay_to_process),
    field!("delay_to_ack", Time, Required, delay_to_ack),
    field!("fifo_depth", Size, Required, fifo_depth),
    field!("n_repeat", Size, Required, n_repeat),
    field!("delay_to_repeat", Time, Required, delay_to_repeat),
    field!("delay_to_arrive", Time, Extension(0), delay_to_arrive),
];

/// What state files hold.
pub(crate) const STATE: &[Parameter<Timing>] = &[field!("time_busy_initial", Time, Required, time_busy_initial)];

const ARRAY_KEYS: [Parameter<Array>; 4] = [
    field!("Nx_array", Size, Required, nx),
    field!("Ny_array", Size, Required, ny),
    field!("Xmin", Signed, Required, x_min),
    field!("Ymin", Signed, Required, y_min),
];

/// The array of convolutional modules.
pub(crate) const ARRAY: &[Parameter<Array>] = &ARRAY_KEYS;

/// The array of fully connected and softmax modules.
pub(crate) const POPULATION: &[Parameter<Array>] = &{
    let mut keys = ARRAY_KEYS;
    keys[0].key = "population_size";
    keys
};

/// A field of signed neurons; other neurons have none.
macro_rules! signed {
    ($key:literal, $absent:expr, $field:ident) => {
        Parameter {
            key: $key,
            range: Range::Signed,
            presence: Extension($absent),
            get: |of| of.signed().map(|signed| signed.$field.into()),
            put: |of: &mut NeuronParameters, value| {
                let Dynamics::Signed(signed) = &mut of.dynamics else { return false };
                signed.$field = value as i32;
                true
            },
        }
    };
}

/// The key of neurons that follow equations: [`Network::set_model`](super::Network::set_model) sets it with them.
pub(crate) const NEURON_MODEL: &str = "neuron_model";

pub(crate) const NEURONS: &[Parameter<NeuronParameters>] = &[
    field!("THplus", Signed, Required, threshold_plus),
    field!("THplusInfo", Flag, Required, fires_plus),
    field!("THminus", Signed, Required, threshold_minus),
    field!("THminusInfo", Flag, Required, fires_minus),
    Parameter {
        key: "Reset_to_reminder",
        range: Range::Reset,
        presence: Required,
        get: |of| {
            Some(match of.reset {
                Reset::ToRest => 0,
                Reset::Subtract => 1,
                Reset::Modulo => 2,
            })
        },
        put: |of, value| {
            of.reset = match value {
                0 => Reset::ToRest,
                1 => Reset::Subtract,
                _ => Reset::Modulo,
            };
            true
        },
    },
    field!("MembReset", Signed, Required, membrane_reset),
    field!("TLplus", Signed, Required, leak_plus),
    field!("TLminus", Signed, Required, leak_minus),
    field!("Tmin", Time, Required, t_min),
    field!("T_Refract", Time, Required, refractory),
    field!("mask_tau", Signed, Extension(0), mask_tau),
    field!("leak_decay", Signed, Extension(0), leak_decay),
    Parameter {
        key: NEURON_MODEL,
        range: Range::Size,
        presence: Extension(0),
        get: |of| Some(of.model().map_or(0, |number| number.get().into())),
        put: |of, value| {
            of.dynamics = NonZeroU32::new(value as u32).map_or(Dynamics::IntegrateAndFire, Dynamics::Model);
            true
        },
    },
    Parameter {
        key: "signed",
        range: Range::Flag,
        presence: Extension(0),
        get: |of| Some(of.signed().is_some().into()),
        put: |of, value| {
            of.dynamics = match (value, of.dynamics) {
                (0, Dynamics::Signed(_)) => Dynamics::IntegrateAndFire,
                (0, other) => other,
                (_, Dynamics::Signed(signed)) => Dynamics::Signed(signed),
                _ => Dynamics::Signed(Signed::default()),
            };
            true
        },
    },
    signed!("hysteresis", 0, hysteresis),
    signed!("min_count", 0, min_count),
    signed!("max_count", i32::MAX as i64, max_count),
    Parameter {
        key: "resting_potential",
        range: Range::Signed,
        presence: Optional,
        get: |of| of.resting_potential.map(i64::from),
        put: |of, value| {
            of.resting_potential = Some(value as i32);
            true
        },
    },
    Parameter {
        key: "payload_bits",
        range: Range::PayloadBits,
        presence: Optional,
        get: |of| of.payload_bits.map(i64::from),
        put: |of, value| {
            of.payload_bits = Some(value as u8);
            true
        },
    },
];

pub(crate) const OUTPUT: &[Parameter<Output>] = &[
    field!("crop_xmin", Signed, Required, crop_xmin),
    field!("crop_xmax", Signed, Required, crop_xmax),
    field!("crop_ymin", Signed, Required, crop_ymin),
    field!("crop_ymax", Signed, Required, crop_ymax),
    field!("xshift_pre", Signed, Required, xshift_pre),
    field!("yshift_pre", Signed, Required, yshift_pre),
    field!("x_subsmp", Signed, Required, x_subsmp),
    field!("y_subsmp", Signed, Required, y_subsmp),
    field!("xshift_pos", Signed, Required, xshift_pos),
    field!("yshift_pos", Signed, Required, yshift_pos),
    field!("rectify", Flag, Required, rectify),
];

pub(crate) const CONV_PORT: &[Parameter<ConvPort>] = &[
    field!("Nx_kernel", Size, Required, nx),
    field!("Ny_kernel", Size, Required, ny),
    field!("Dx", Signed, Required, dx),
    field!("Dy", Signed, Required, dy),
    field!("x_stride", Signed, Extension(1), x_stride),
    field!("y_stride", Signed, Extension(1), y_stride),
    field!("x_expand", Signed, Extension(1), x_expand),
    field!("y_expand", Signed, Extension(1), y_expand),
];

pub(crate) const FULLY_CONNECTED_PORT: &[Parameter<FullyConnectedPort>] =
    &[field!("Nx_array_pre", Size, Required, nx_pre), field!("Ny_array_pre", Size, Required, ny_pre)];

pub(crate) const FLATTEN_PORT: &[Parameter<FlattenPort>] =
    &[field!("Nx_array", Size, Required, nx), field!("Ny_array", Size, Required, ny)];

pub(crate) const POOL_PORT: &[Parameter<PoolPort>] = &[
    field!("Nx_array", Size, Required, nx),
    field!("Ny_array", Size, Required, ny),
    field!("Nx_pool", Size, Required, nx_pool),
    field!("Ny_pool", Size, Required, ny_pool),
    field!("Dx", Signed, Required, dx),
    field!("Dy", Signed, Required, dy),
    field!("x_stride", Signed, Required, x_stride),
    field!("y_stride", Signed, Required, y_stride),
    field!("Nx_out", Size, Required, nx_out),
    field!("Ny_out", Size, Required, ny_out),
];

/// A field of the masks of maximum pooling.
macro_rules! mask {
    ($key:literal, $field:ident) => {
        Parameter {
            key: $key,
            range: Range::Signed,
            presence: Optional,
            get: |of| match of {
                PoolRule::Mask(mask) => Some(mask.$field.into()),
                _ => None,
            },
            put: |of, value| {
                let mut mask = match *of {
                    PoolRule::Mask(mask) => mask,
                    _ => PoolMask { tau: 0, weight: 0, threshold: 0 },
                };
                mask.$field = value as i32;
                *of = PoolRule::Mask(mask);
                true
            },
        }
    };
}

/// Extension keys of the data port of maximum pooling: the first three together, or one of the others, or none.
pub(crate) const POOL_RULE: &[Parameter<PoolRule>] = &[
    mask!("mask_tau", tau),
    mask!("mask_weight", weight),
    mask!("THplus", threshold),
    Parameter {
        key: "signed",
        range: Range::Flag,
        presence: Extension(0),
        get: |of| Some((*of == PoolRule::Signed).into()),
        put: |of, value| {
            if value != 0 {
                *of = PoolRule::Signed;
            }
            true
        },
    },
    Parameter {
        key: "average_over",
        range: Range::Time,
        presence: Extension(0),
        get: |of| Some(if let PoolRule::Average { over } = *of { over } else { 0 }),
        put: |of, value| {
            if value != 0 {
                *of = PoolRule::Average { over: value };
            }
            true
        },
    },
    Parameter {
        key: "leak_decay",
        range: Range::Signed,
        presence: Extension(0),
        get: |of| Some(if let PoolRule::Exponential { decay } = *of { decay.into() } else { 0 }),
        put: |of, value| {
            if value != 0 {
                *of = PoolRule::Exponential { decay: value as i32 };
            }
            true
        },
    },
];

/// A key of parameter files, as `docs/netfiles.md` lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParameterKey {
    /// The block that it is in: `head`, `neurons`, a kind of port, or `output`; `state` for state files.
    pub block: &'static str,
    /// The key.
    pub key: &'static str,
    /// The values that it takes.
    pub values: &'static str,
    /// Where it is an extension: what holds without it.
    pub absent: Option<String>,
}

/// All keys of parameter and state files, in the order in which they are written.
///
/// ```
/// let keys = megasim_network::network::parameter_keys();
/// assert!(keys.iter().any(|it| it.block == "neurons" && it.key == "THplus" && it.absent.is_none()));
/// ```
pub fn parameter_keys() -> Vec<ParameterKey> {
    fn of<T>(block: &'static str, table: &'static [Parameter<T>]) -> impl Iterator<Item = ParameterKey> {
        table.iter().map(move |parameter| ParameterKey {
            block,
            key: parameter.key,
            values: parameter.range.expected(),
            absent: match parameter.presence {
                Required => None,
                Extension(value) => Some(value.to_string()),
                Optional => Some("no value".into()),
            },
        })
    }
    let head = of("head", PORT_COUNTS).chain(of("head", TIMING));
    let neurons = of("neurons", ARRAY).chain(of("neurons", &POPULATION[..1])).chain(of("neurons", NEURONS));
    let ports = of("conv port", CONV_PORT)
        .chain(of("fully connected port", FULLY_CONNECTED_PORT))
        .chain(of("flatten port", FLATTEN_PORT))
        .chain(of("max pool port", POOL_PORT))
        .chain(of("max pool port", POOL_RULE));
    head.chain(neurons).chain(ports).chain(of("output", OUTPUT)).chain(of("state", STATE)).collect()
}
