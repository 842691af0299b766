//! Changing one parameter of modules by its netfile key.

use super::{
    Dynamics, Module, ModuleKind, Network, NetworkError, NeuronModel, NeuronParameters, Output, Reset, Signed, Tick,
};
use std::num::NonZeroU32;
use std::sync::Arc;

/// The keys that can be set: head, state, neurons, output. Sizes and weights cannot.
pub const SETTABLE_KEYS: &[&str] = &[
    "delay_to_process",
    "delay_to_ack",
    "fifo_depth",
    "n_repeat",
    "delay_to_repeat",
    "delay_to_arrive",
    "time_busy_initial",
    "THplus",
    "THplusInfo",
    "THminus",
    "THminusInfo",
    "Reset_to_reminder",
    "MembReset",
    "TLplus",
    "TLminus",
    "Tmin",
    "T_Refract",
    "mask_tau",
    "leak_decay",
    "resting_potential",
    "signed",
    "hysteresis",
    "min_count",
    "max_count",
    "crop_xmin",
    "crop_xmax",
    "crop_ymin",
    "crop_ymax",
    "xshift_pre",
    "yshift_pre",
    "x_subsmp",
    "y_subsmp",
    "xshift_pos",
    "yshift_pos",
    "rectify",
];

impl Network {
    /// Sets a parameter, named by its netfile key, of every module one of whose outputs has a name that `selects`,
    /// where it has that key. Returns how many modules it set.
    ///
    /// # Errors
    /// [`NetworkError::UnknownKey`], or [`NetworkError::Range`] if a module may not have the value; then the
    /// network is unchanged.
    pub fn set(&mut self, selects: impl Fn(&str) -> bool, key: &str, value: i64) -> Result<usize, NetworkError> {
        let Some(key) = SETTABLE_KEYS.iter().find(|known| **known == key) else {
            return Err(NetworkError::UnknownKey { key: key.into(), known: SETTABLE_KEYS.join(", ") });
        };
        let mut network = self.clone();
        let mut count = 0;
        for (module, outputs) in network.modules.iter_mut().zip(&self.outputs) {
            if outputs.iter().any(|node| selects(&self.nodes[node.index()].name)) && module.set(key, value)? {
                count += 1;
            }
        }
        *self = network.valid()?;
        Ok(count)
    }
}

impl Network {
    /// Gives the neurons of every module one of whose outputs has a name that `selects` custom equations, under
    /// this number. Returns how many modules have neurons that can follow them.
    ///
    /// # Errors
    /// [`NetworkError::Range`] if a module may not have them; the network is unchanged then.
    pub fn set_model(
        &mut self,
        selects: impl Fn(&str) -> bool,
        number: NonZeroU32,
        model: Arc<NeuronModel>,
    ) -> Result<usize, NetworkError> {
        let mut network = self.clone();
        let mut count = 0;
        for (module, outputs) in network.modules.iter_mut().zip(&self.outputs) {
            let neurons = match &mut module.kind {
                ModuleKind::Conv(conv) => &mut conv.neurons,
                ModuleKind::FullyConnected(full) => &mut full.neurons,
                ModuleKind::Softmax(_) | ModuleKind::Flatten(_) | ModuleKind::MaxPool(_) => continue,
            };
            if outputs.iter().any(|node| selects(&self.nodes[node.index()].name)) {
                neurons.dynamics = Dynamics::Model(number);
                count += 1;
            }
        }
        Arc::make_mut(&mut network.models).insert(number, model);
        *self = network.valid()?;
        Ok(count)
    }
}

impl Module {
    /// Sets one parameter; says whether the module has it.
    fn set(&mut self, key: &'static str, value: i64) -> Result<bool, NetworkError> {
        let timing = &mut self.timing;
        match key {
            "delay_to_process" => timing.delay_to_process = value,
            "delay_to_ack" => timing.delay_to_ack = value,
            "fifo_depth" => timing.fifo_depth = narrow(key, value)?,
            "n_repeat" => timing.n_repeat = narrow(key, value)?,
            "delay_to_repeat" => timing.delay_to_repeat = value,
            "delay_to_arrive" => timing.delay_to_arrive = value,
            "time_busy_initial" => timing.time_busy_initial = value,
            _ => {
                let (neurons, output) = match &mut self.kind {
                    ModuleKind::Conv(conv) => (&mut conv.neurons, &mut conv.output),
                    ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
                        (&mut full.neurons, &mut full.output)
                    }
                    ModuleKind::Flatten(_) | ModuleKind::MaxPool(_) => return Ok(false),
                };
                return Ok(neurons.set(key, value)? || output.set(key, value)?);
            }
        }
        Ok(true)
    }
}

impl NeuronParameters {
    fn set(&mut self, key: &'static str, value: i64) -> Result<bool, NetworkError> {
        match key {
            "THplus" => self.threshold_plus = narrow(key, value)?,
            "THplusInfo" => self.fires_plus = flag(key, value)?,
            "THminus" => self.threshold_minus = narrow(key, value)?,
            "THminusInfo" => self.fires_minus = flag(key, value)?,
            "Reset_to_reminder" => {
                self.reset = match value {
                    0 => Reset::ToRest,
                    1 => Reset::Subtract,
                    2 => Reset::Modulo,
                    _ => return Err(out_of_range(key, "0, 1 or 2", value)),
                }
            }
            "MembReset" => self.membrane_reset = narrow(key, value)?,
            "TLplus" => self.leak_plus = narrow(key, value)?,
            "TLminus" => self.leak_minus = narrow(key, value)?,
            "Tmin" => self.t_min = value as Tick,
            "T_Refract" => self.refractory = value as Tick,
            "mask_tau" => self.mask_tau = narrow(key, value)?,
            "leak_decay" => self.leak_decay = narrow(key, value)?,
            "resting_potential" => self.resting_potential = Some(narrow(key, value)?),
            "signed" => {
                self.dynamics = match (flag(key, value)?, self.dynamics) {
                    (true, Dynamics::Signed(signed)) => Dynamics::Signed(signed),
                    (true, _) => Dynamics::Signed(Signed::default()),
                    (false, Dynamics::Signed(_)) => Dynamics::IntegrateAndFire,
                    (false, other) => other,
                }
            }
            "hysteresis" | "min_count" | "max_count" => {
                let Dynamics::Signed(signed) = &mut self.dynamics else { return Ok(false) };
                let field = match key {
                    "hysteresis" => &mut signed.hysteresis,
                    "min_count" => &mut signed.min_count,
                    _ => &mut signed.max_count,
                };
                *field = narrow(key, value)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Output {
    fn set(&mut self, key: &'static str, value: i64) -> Result<bool, NetworkError> {
        let field = match key {
            "crop_xmin" => &mut self.crop_xmin,
            "crop_xmax" => &mut self.crop_xmax,
            "crop_ymin" => &mut self.crop_ymin,
            "crop_ymax" => &mut self.crop_ymax,
            "xshift_pre" => &mut self.xshift_pre,
            "yshift_pre" => &mut self.yshift_pre,
            "x_subsmp" => &mut self.x_subsmp,
            "y_subsmp" => &mut self.y_subsmp,
            "xshift_pos" => &mut self.xshift_pos,
            "yshift_pos" => &mut self.yshift_pos,
            "rectify" => {
                self.rectify = flag(key, value)?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        *field = narrow(key, value)?;
        Ok(true)
    }
}

fn narrow<N: TryFrom<i64>>(key: &'static str, value: i64) -> Result<N, NetworkError> {
    N::try_from(value).map_err(|_| out_of_range(key, "a value within 32 bits", value))
}

fn flag(key: &'static str, value: i64) -> Result<bool, NetworkError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(out_of_range(key, "0 or 1", value)),
    }
}

fn out_of_range(key: &'static str, expected: &str, value: i64) -> NetworkError {
    NetworkError::Range { key, expected: expected.into(), found: value.to_string() }
}
