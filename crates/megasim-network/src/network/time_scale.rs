//! A network in finer ticks.

use super::parameters::{NEURONS, POOL_RULE, Parameter, STATE, TIMING};
use super::{ModuleKind, Network, NetworkError, PoolRule, Tick};

impl Network {
    /// The network in ticks of which `factor` make one of the old: every time is multiplied. What a run gives does not
    /// change but for that.
    ///
    /// # Errors
    /// If a neuron or an average leaks, which is an amount per tick, or if a time needs more than 64 bits.
    ///
    /// # Panics
    /// If `factor` is not positive.
    pub fn with_finer_ticks(&self, factor: Tick) -> Result<Self, NetworkError> {
        assert!(factor > 0, "a tick is a positive number of finer ones");
        let mut network = self.clone();
        if factor == 1 {
            return Ok(network);
        }
        // The last tick of the last old one.
        network.t_max = network.t_max.saturating_mul(factor).saturating_add(factor - 1);
        for module in &mut network.modules {
            Parameter::stretch(TIMING, &mut module.timing, factor)?;
            Parameter::stretch(STATE, &mut module.timing, factor)?;
            if let ModuleKind::MaxPool(pool) = &mut module.kind {
                if let PoolRule::Exponential { decay } = pool.rule {
                    return Err(whole_ticks("leak_decay", decay));
                }
                Parameter::stretch(POOL_RULE, &mut pool.rule, factor)?;
            }
            let Some((neurons, _)) = module.kind.neurons_mut() else { continue };
            let leaks =
                [("TLplus", neurons.leak_plus), ("TLminus", neurons.leak_minus), ("leak_decay", neurons.leak_decay)];
            for (key, leak) in leaks {
                if leak != 0 {
                    return Err(whole_ticks(key, leak));
                }
            }
            if let Some(model) = neurons.model() {
                let expected = "0, as equations per tick cannot be divided into finer ticks".into();
                return Err(NetworkError::Range { key: "neuron_model", expected, found: model.to_string() });
            }
            Parameter::stretch(NEURONS, neurons, factor)?;
        }
        network.valid()
    }
}

fn whole_ticks(key: &'static str, leak: i32) -> NetworkError {
    let expected = "0, as a leak per tick cannot be divided into finer ticks".into();
    NetworkError::Range { key, expected, found: leak.to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::*;

    #[test]
    fn times_grow_and_leaks_are_refused() {
        let neuron = |leak_plus| Module {
            kind: ModuleKind::FullyConnected(FullyConnected {
                array: Array { nx: 1, ny: 1, x_min: 0, y_min: 0 },
                neurons: NeuronParameters { t_min: 3, leak_plus, ..NeuronParameters::default() },
                ports: vec![],
                output: Output::whole(Array { nx: 1, ny: 1, x_min: 0, y_min: 0 }),
            }),
            inputs: vec![],
            timing: Timing { delay_to_process: 7, ..Timing::default() },
            not_programmable: false,
        };
        let network = |leak| {
            let mut builder = NetworkBuilder::new();
            builder.module(neuron(leak), &["out"]).unwrap();
            builder.build(99).unwrap()
        };
        let fine = network(0).with_finer_ticks(10).unwrap();
        assert_eq!((fine.t_max(), fine.modules()[0].timing.delay_to_process), (999, 70));
        assert_eq!(fine.modules()[0].kind.neurons().unwrap().1.t_min, 30);
        assert!(matches!(network(2).with_finer_ticks(10), Err(NetworkError::Range { key: "TLplus", .. })));
        assert!(network(2).with_finer_ticks(1).is_ok());
        assert!(matches!(
            network(0).with_finer_ticks(Tick::MAX / 2),
            Err(NetworkError::Range { key: "delay_to_process", .. })
        ));
    }
}
