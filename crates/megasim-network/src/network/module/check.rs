//! The rules of a single module.

use super::{Array, MAX_NEURONS, Module, ModuleKind, Output, Timing, leave};
use crate::network::{NetworkError, at_least};

impl Module {
    /// Checks every rule that a single module must obey.
    pub fn check(&self) -> Result<(), NetworkError> {
        let ports = self.kind.ports();
        if self.inputs.len() < ports {
            return Err(NetworkError::FewInputs { ports, names: self.inputs.len() });
        }
        self.timing.check()?;
        if let Some((array, neurons, output)) = self.kind.neurons() {
            array.check()?;
            neurons.check()?;
            output.check(array)?;
            if neurons.signed().is_some() && output.rectify {
                return Err(range("rectify", "0, as neurons are signed", 1));
            }
            if neurons.payload_bits.is_some() && self.timing.n_repeat > 1 {
                return Err(range("n_repeat", "1, as spikes carry values (payload_bits)", self.timing.n_repeat));
            }
        }
        if let ModuleKind::Softmax(full) = &self.kind {
            full.check_softmax()?;
        }
        self.kind.kind().check()
    }
}

pub(super) fn range(key: &'static str, expected: &str, found: impl ToString) -> NetworkError {
    NetworkError::Range { key, expected: expected.into(), found: found.to_string() }
}

impl Timing {
    /// Whether a module answers in the tick of its input and is free again in it.
    pub fn is_instant(&self) -> bool {
        self.delay_to_process == 0 && self.delay_to_ack == 0 && self.time_busy_initial == 0
    }

    /// Whether its outputs arrive in the tick of its input too, each once.
    pub fn arrives_at_once(&self) -> bool {
        self.is_instant() && self.delay_to_arrive == 0 && self.n_repeat == 1
    }

    fn check(&self) -> Result<(), NetworkError> {
        at_least("delay_to_process", self.delay_to_process, 0)?;
        at_least("delay_to_ack", self.delay_to_ack, 0)?;
        at_least("n_repeat", self.n_repeat.into(), 1)?;
        at_least("delay_to_repeat", self.delay_to_repeat, 0)?;
        at_least("delay_to_arrive", self.delay_to_arrive, 0)?;
        at_least("time_busy_initial", self.time_busy_initial, 0)
    }
}

impl Array {
    fn check(&self) -> Result<(), NetworkError> {
        let found = u64::from(self.nx) * u64::from(self.ny);
        if found > MAX_NEURONS {
            return Err(NetworkError::TooLarge { found });
        }
        for (key, min, n) in [("Xmin", self.x_min, self.nx), ("Ymin", self.y_min, self.ny)] {
            if i64::from(min) + i64::from(n) > i32::MAX.into() {
                return Err(range(key, "coordinates within 32 bits", min));
            }
        }
        Ok(())
    }
}

impl Output {
    fn check(&self, array: Array) -> Result<(), NetworkError> {
        at_least("x_subsmp", self.x_subsmp.into(), 1)?;
        at_least("y_subsmp", self.y_subsmp.into(), 1)?;
        let last = |min: i32, n: u32| min + n.saturating_sub(1) as i32;
        let x = (last(array.x_min, array.nx), self.xshift_pre, self.x_subsmp, self.xshift_pos, "xshift_pos");
        let y = (last(array.y_min, array.ny), self.yshift_pre, self.y_subsmp, self.yshift_pos, "yshift_pos");
        for ((last, pre, subsample, pos, key), first) in [(x, array.x_min), (y, array.y_min)] {
            for at in [first, last] {
                let address = leave(at, pre, subsample, pos);
                if i32::try_from(address).is_err() {
                    return Err(range(key, "output addresses within 32 bits", address));
                }
            }
        }
        Ok(())
    }
}

pub(super) fn matrix(key: &'static str, announced: u64, found: usize) -> Result<(), NetworkError> {
    if announced != found as u64 {
        return Err(range(key, &format!("{announced} weights"), found));
    }
    Ok(())
}
