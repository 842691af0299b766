//! Spikes with values.

use super::*;

/// Every event of a node has a value where one of them may have.
pub(super) fn complete(network: &Network, stimuli: &[Stimulus], logs: &mut [EventLog]) {
    let mut carries = vec![false; logs.len()];
    for (node, stimulus) in network.sources().iter().zip(stimuli) {
        carries[node.index()] = !stimulus.value().is_empty();
    }
    for _ in 0..=network.modules().len() {
        for (id, module) in network.modules().iter().enumerate() {
            let read = module.inputs.iter().take(module.kind.ports());
            let mut reads = read.filter(|input| matches!(input, Input::Node(node) if carries[node.index()]));
            let passes = matches!(module.kind, ModuleKind::Flatten(_)) && reads.next().is_some();
            if passes || module.kind.neurons().is_some_and(|(_, it, _)| it.payload_bits.is_some()) {
                network.outputs(ModuleId::new(id)).iter().for_each(|node| carries[node.index()] = true);
            }
        }
    }
    for (log, _) in logs.iter_mut().zip(carries).filter(|(_, carries)| *carries) {
        log.value.resize(log.len(), 65_536);
    }
}

impl State {
    /// A test; with `payload_bits` the spike carries itself and what has been added to the residual since the last one.
    pub(super) fn test_and_leave(&mut self, kind: &ModuleKind, n: usize, s: Tick) -> Option<Leaving> {
        let (_, parameters, _) = kind.neurons().unwrap();
        let polarity = self.test(parameters, n, s)?;
        let Some(bits) = parameters.payload_bits else { return leaving(kind, n, polarity) };
        let neuron = &mut self.neurons[n];
        let sign = if polarity == Polarity::Positive { 1 } else { -1 };
        // In parts of a spike; a part is 2^(16 - bits) of the units of values, which have 31 bits and a sign.
        let (spike, part) = (1i128 << bits, 65_536i128 >> bits);
        let residual = (i128::from(neuron.v) * spike).div_euclid(i128::from(parameters.threshold_plus));
        let most = i128::from(i32::MAX) / part;
        let carried = (sign * spike + residual - neuron.sent).clamp(-most, most);
        neuron.sent += carried - sign * spike;
        let value = sign * carried * part;
        leaving(kind, n, polarity).map(|(x, y, polarity, _)| (x, y, polarity, Some(value as i32)))
    }
}
