//! The rules of a single module.

use super::{
    Array, ConvPort, FullyConnected, MAX_NEURONS, MaxPool, Module, ModuleKind, Output, PoolPort, Timing, leave,
};
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
        }
        match &self.kind {
            ModuleKind::Conv(conv) => {
                conv.ports.iter().try_for_each(ConvPort::check)?;
                conv.neurons.check_weights(conv.ports.iter().map(|port| &port.weights[..]))
            }
            ModuleKind::Softmax(full) if full.neurons.mask_tau != 0 => {
                Err(range("mask_tau", "0, as softmax neurons act on control events already", full.neurons.mask_tau))
            }
            ModuleKind::Softmax(full) if full.neurons.model().is_some() => {
                Err(range("neuron_model", "0, as softmax neurons are not tested", 1))
            }
            ModuleKind::Softmax(full) if full.neurons.signed().is_some() => {
                Err(range("signed", "0, as softmax neurons are not tested", 1))
            }
            ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
                full.check()?;
                full.neurons.check_weights(full.ports.iter().map(|port| &port.weights[..]))
            }
            ModuleKind::Flatten(ports) => {
                let sizes = ports.iter().map(|port| u64::from(port.nx) * u64::from(port.ny));
                let total = sizes.fold(0, u64::saturating_add);
                if total > i32::MAX as u64 {
                    return Err(range("Nx_array", "flattened addresses within 32 bits", total));
                }
                Ok(())
            }
            ModuleKind::MaxPool(pool) => pool.check(),
        }
    }
}

pub(super) fn range(key: &'static str, expected: &str, found: impl ToString) -> NetworkError {
    NetworkError::Range { key, expected: expected.into(), found: found.to_string() }
}

impl Timing {
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

impl ConvPort {
    fn check(&self) -> Result<(), NetworkError> {
        at_least("x_stride", self.x_stride.into(), 1)?;
        at_least("y_stride", self.y_stride.into(), 1)?;
        at_least("x_expand", self.x_expand.into(), 1)?;
        at_least("y_expand", self.y_expand.into(), 1)?;
        matrix("Nx_kernel", u64::from(self.nx) * u64::from(self.ny), self.weights.len())
    }
}

impl FullyConnected {
    fn check(&self) -> Result<(), NetworkError> {
        if self.array.ny != 1 {
            return Err(range("Ny_array", "1, as the module is not a convolution", self.array.ny));
        }
        self.ports.iter().try_for_each(|port| {
            let lines = u64::from(port.nx_pre) * u64::from(port.ny_pre);
            matrix("Nx_array_pre", lines.saturating_mul(self.array.nx.into()), port.weights.len())
        })
    }
}

impl MaxPool {
    fn check(&self) -> Result<(), NetworkError> {
        if let Some(mask) = self.mask() {
            at_least("mask_tau", mask.tau.into(), 1)?;
            at_least("THplus", mask.threshold.into(), 1)?;
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
}

fn matrix(key: &'static str, announced: u64, found: usize) -> Result<(), NetworkError> {
    if announced != found as u64 {
        return Err(range(key, &format!("{announced} weights"), found));
    }
    Ok(())
}
