//! Points in event mode and clocked mode.

use super::parameters::{Conditions, Parameter, Ties};
use super::work::{Origin, Prepared, Study};
use crate::cli::diagnostic::report;
use crate::cli::tables::{boxed, fixed, percent, percents};
use megasim::Control;
use megasim::convert::LabelledSamples;
use megasim::network::{Driver, Network, NodeId};
use megasim::readout::{self, ReadOut};
use megasim::report::{Section, sweep as pages};
use megasim::study::sweep::{self, Figures, Sweep};
use miette::{Result, bail};

/// `THplus` of the output, in scaled integers.
fn threshold(network: &Network, output: NodeId) -> i32 {
    let Driver::Module(module) = network.nodes()[output.index()].driver else { return 1 };
    network.modules()[module.index()].kind.neurons().map_or(1, |(_, neurons, _)| neurons.threshold_plus)
}

/// Both modes at each point.
pub struct Modes<'a> {
    pub origin: &'a Origin<'a>,
    pub samples: &'a LabelledSamples,
}

impl Study for Modes<'_> {
    type Figures = Figures;
    type Prepared = Prepared;

    fn prepare(&self, points: &[&Conditions]) -> Result<Prepared> {
        self.origin.convert(points)
    }

    /// A shorter duration is part of a longer one.
    fn shares(&self, parameter: &Parameter) -> bool {
        *parameter == Parameter::Duration
    }

    const GROUPS_IN_PARALLEL: bool = true;

    fn runs(&self, _points: usize) -> usize {
        self.samples.len()
    }

    fn measure(
        &self,
        prepared: &Prepared,
        points: &[&Conditions],
        found: &(dyn Fn(usize, Figures) -> Result<()> + Sync),
        control: &dyn Control,
    ) -> Result<()> {
        let Conditions { presentation, dt, tie_order, settings, read_out, .. } = points[0];
        let mut network = prepared.network.clone();
        settings.iter().try_for_each(|setting| setting.apply(&mut network)).map_err(report)?;
        let code = presentation.code()?;
        let manifest = self.origin.converted.manifest();
        read_out.check()?;
        read_out.check_signed(&network, prepared.output)?;
        let signed = readout::is_signed(&network, prepared.output);
        let read_out = read_out.rule(manifest.output.form, threshold(&network, prepared.output), signed)?;
        if *tie_order != Ties::Netlist && (read_out != ReadOut::default() || code.is_current()) {
            bail!(
                "--over tie-order: expected most spikes at the end to decide and a code that makes spikes, found others"
            );
        }
        if matches!(read_out, ReadOut::MembranePotential { .. }) {
            network = readout::accumulating(network, prepared.output).map_err(report)?;
        }
        let durations: Vec<u32> = points.iter().map(|conditions| conditions.presentation.duration).collect();
        let setup = sweep::Setup {
            network: &network,
            layout: &prepared.layout,
            output: prepared.output,
            classes: manifest.output.classes,
            code: code.as_ref(),
            ticks_per_ms: presentation.ticks_per_ms,
            dt: *dt,
            tie_order: tie_order.of(presentation.seed),
            read_out,
            limits: presentation.limits(),
        };
        let samples = sweep::Samples {
            values: self.samples.values(),
            labels: self.samples.labels(),
            analog: self.samples.analog(),
            first: self.samples.first(),
        };
        let figures = sweep::measure(&setup, &samples, &durations, control).map_err(report)?;
        figures.into_iter().flatten().enumerate().try_for_each(|(at, figures)| found(at, figures))
    }

    fn table(&self, sweep: &Sweep<Figures>) -> String {
        let mut header: Vec<&str> = sweep.parameters.iter().map(|axis| axis.name.as_str()).collect();
        header.extend([
            "event",
            "95 % interval",
            "spikes",
            "operations",
            "clocked",
            "95 % interval",
            "event = clocked",
        ]);
        let rows = sweep.points.iter().map(|point| {
            let of = &point.figures;
            let mut row = point.values.clone();
            row.extend([
                percent(of.event.accuracy.share),
                percents(of.event.accuracy.interval),
                fixed(of.event.spikes, 0),
                fixed(of.event.operations, 0),
                percent(of.clocked.accuracy.share),
                percents(of.clocked.accuracy.interval),
                percent(of.agreement),
            ]);
            row
        });
        boxed(&header, rows).to_string()
    }

    fn section(&self, sweep: &Sweep<Figures>) -> Result<Section, megasim::report::Error> {
        pages::section(sweep, false)
    }
}
