//! Points in event mode and clocked mode.

use super::error::SweepError;
use super::modes::{self, Figures, Samples, Setup};
use super::parameters::{Conditions, Parameter};
use super::study::{Origin, Prepared, Study};
use megasim_convert::LabelledSamples;
use megasim_core::control::Control;
use megasim_core::encode::SpikeEncoder;
use megasim_core::engine::TieOrder;
use megasim_core::network::{Driver, Network, NodeId};
use megasim_core::readout::{self, ReadOut};

/// `THplus` of the output, in scaled integers.
fn threshold(network: &Network, output: NodeId) -> i32 {
    let Driver::Module(module) = network.nodes()[output.index()].driver else { return 1 };
    network.modules()[module.index()].kind.neurons().map_or(1, |(_, neurons, _)| neurons.threshold_plus)
}

/// Both modes at each point.
pub(super) struct BothModes<'a> {
    pub origin: &'a Origin<'a>,
    pub samples: &'a LabelledSamples,
}

impl Study for BothModes<'_> {
    type Figures = Figures;
    type Prepared = Prepared;

    fn prepare(&self, points: &[&Conditions], control: &dyn Control) -> Result<Prepared, SweepError> {
        self.origin.convert(points, control)
    }

    /// A shorter duration is part of a longer one.
    fn shares(&self, parameter: &Parameter) -> bool {
        *parameter == Parameter::Duration
    }

    const GROUPS_IN_PARALLEL: bool = true;

    fn units(&self, _points: usize) -> usize {
        self.samples.len()
    }

    fn measure(
        &self,
        prepared: &Prepared,
        points: &[&Conditions],
        found: &(dyn Fn(usize, Figures) -> Result<(), SweepError> + Sync),
        control: &dyn Control,
    ) -> Result<(), SweepError> {
        let Conditions { presentation, dt, tie_order, settings, read_out, .. } = points[0];
        let mut network = prepared.network.clone();
        settings.iter().try_for_each(|setting| setting.apply(&mut network))?;
        let encoded = presentation.code()?;
        let code = self.samples.recorded().map_or(encoded.as_ref(), |recorded| recorded as &dyn SpikeEncoder);
        let manifest = self.origin.converted.manifest();
        read_out.check()?;
        read_out.check_signed(&network, prepared.output)?;
        let signed = readout::is_signed(&network, prepared.output);
        let read_out = read_out.rule(prepared.form, threshold(&network, prepared.output), signed)?;
        if *tie_order != TieOrder::Netlist && (read_out != ReadOut::default() || code.is_current()) {
            return Err(SweepError::TieOrder);
        }
        let tie_order = match *tie_order {
            TieOrder::Seeded(_) => TieOrder::Seeded(presentation.seed),
            other => other,
        };
        if matches!(read_out, ReadOut::MembranePotential { .. }) {
            network = readout::accumulating(network, prepared.output)?;
        }
        let durations: Vec<u32> = points.iter().map(|conditions| conditions.presentation.duration).collect();
        let setup = Setup {
            network: &network,
            layout: &prepared.layout,
            output: prepared.output,
            classes: manifest.output.classes,
            code,
            ticks_per_ms: presentation.ticks_per_ms,
            dt: *dt,
            tie_order,
            read_out,
            limits: presentation.limits,
        };
        let samples = Samples {
            values: self.samples.values(),
            labels: self.samples.labels().unwrap_or_default(),
            analog: self.samples.analog(),
            kind: self.samples.kind(),
            numbers: self.samples.numbers(),
        };
        let figures = modes::measure(&setup, &samples, &durations, control)?;
        figures.into_iter().flatten().enumerate().try_for_each(|(at, figures)| found(at, figures))
    }
}
