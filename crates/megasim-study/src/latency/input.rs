//! What runs on machines: a network with its samples.

use super::Setup;
use super::quantised::connections;
use crate::hardware::{self, Duration, Hardware, ModuleLayer, Resolved, TargetNetwork};
use crate::presentation::Presentation;
use crate::sample_source::Segments;
use crate::verify::Trained;
use megasim_convert::settings::{self, Setting};
use megasim_convert::{ConvertedModel, LabelledSamples, Manifest};
use megasim_core::encode::{self, Clock, InputMap, SampleKind, SampleNumbers, SpikeEncoder, registry};
use megasim_core::engine::machine::{Pace, RunSettings};
use megasim_core::engine::{self, Limits, Mode, Plan, Probes, Simulation};
use megasim_core::network::{ModuleId, Network, NetworkError, NodeId, Stimulus, Tick};
use megasim_core::readout::is_signed;
use ndarray::Array2;

/// Why a network with its samples cannot be put on a machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The code cannot be made.
    #[error(transparent)]
    Code(#[from] registry::Error),
    /// A code of currents.
    #[error("--encode: values as currents have no input events, whose times this study is about")]
    Currents,
    /// Samples of another size than the input.
    #[error(transparent)]
    Numbers(#[from] encode::Error),
    /// Ticks that are no whole number of femtoseconds.
    #[error("--ticks-per-ms: expected a number that divides 10^12, so that a tick is whole femtoseconds")]
    TicksPerMs,
    /// The network cannot be run for that long, or in ticks that fine.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The machine does not go with the network.
    #[error(transparent)]
    Hardware(#[from] hardware::Error),
    /// The samples whose spikes decide where modules are cannot be run.
    #[error(transparent)]
    Run(#[from] engine::Error),
    /// A parameter that modules cannot have.
    #[error(transparent)]
    Setting(#[from] settings::Error),
}

/// A network with its samples, before it is put on a machine.
#[derive(Debug)]
pub struct MachineInput {
    /// The network, in its own ticks.
    pub network: Network,
    /// Its modules by layer.
    pub layers: Vec<ModuleLayer>,
    shown: Presented,
    /// The node that decides, and its classes; 0 where it is no row.
    pub output: Option<(NodeId, usize)>,
    /// The class of each sample, where it is known.
    pub labels: Option<Vec<usize>>,
    /// By source: input, and no clock.
    pub input: Vec<bool>,
    /// How long a tick of the network is, where that is known.
    tick: Option<Duration>,
    /// How long a sample is shown, in ticks of the network, where that is known.
    until: Option<Tick>,
    /// Connections with weights, where the size of the input is known.
    connections: Option<u64>,
    limits: Limits,
    /// The trained network, where counts are its levels.
    trained: Option<Trained>,
}

#[derive(Debug)]
enum Presented {
    Samples {
        values: Array2<f32>,
        kind: SampleKind,
        numbers: SampleNumbers,
        layout: Box<InputMap>,
        code: Box<dyn SpikeEncoder>,
        clock: Clock,
    },
    Segments(Segments),
}

/// A network on a machine, in ticks of the machine.
#[derive(Debug, Clone)]
pub struct MappedNetwork {
    /// The network.
    pub network: Network,
    /// The machine.
    pub resolved: Resolved,
    /// How many of them one tick of the network is.
    pub factor: Tick,
}

impl MachineInput {
    /// A converted network and samples.
    ///
    /// # Errors
    /// If samples cannot be presented to a machine like this.
    pub fn new(
        converted: &ConvertedModel,
        samples: &LabelledSamples,
        presentation: &Presentation,
    ) -> Result<Self, InputError> {
        let (network, output) = (converted.network().clone(), (converted.layout(), converted.output()));
        let input = Self::converted(network, output, converted.manifest(), samples, presentation)?;
        Ok(Self { trained: Trained::of(converted, presentation), ..input })
    }

    /// Whether the counts of the output are those of signed neurons: no delay changes what they are in the end.
    pub fn output_is_signed(&self) -> bool {
        self.output.is_some_and(|(node, _)| is_signed(&self.network, node))
    }

    /// The trained network, where it has quantised activations and counts are their levels.
    pub fn trained(&self) -> Option<&Trained> {
        self.trained.as_ref()
    }

    /// A converted network with its layout and output.
    ///
    /// # Errors
    /// If samples cannot be shown to a machine like this.
    pub fn converted(
        network: Network,
        (layout, output): (&InputMap, NodeId),
        manifest: &Manifest,
        samples: &LabelledSamples,
        presentation: &Presentation,
    ) -> Result<Self, InputError> {
        let code: Box<dyn SpikeEncoder> = match samples.recorded() {
            Some(recorded) => Box::new(recorded.clone()),
            None => presentation.code()?,
        };
        if code.is_current() {
            return Err(InputError::Currents);
        }
        samples.kind().check(layout.numbers(), samples.values().ncols())?;
        let clock = presentation.clock();
        let tick = Duration::part_of_a_ms(clock.ticks_per_ms).ok_or(InputError::TicksPerMs)?;
        let input: Vec<NodeId> = layout.nodes(&network).collect();
        let last = layout.last_tick(network.t_max(), clock);
        let layers = ModuleLayer::of_manifest(&network, manifest);
        // Potentials, which no machine reports, decide nothing here.
        let decides = manifest.output.form.spikes();
        Ok(Self {
            connections: Some(connections(&network, manifest, &input)),
            input: network.sources().iter().map(|node| input.contains(node)).collect(),
            network: network.with_t_max(last)?,
            layers,
            shown: Presented::Samples {
                values: samples.values().to_owned(),
                numbers: samples.numbers().clone(),
                layout: Box::new(layout.clone()),
                kind: samples.kind(),
                code,
                clock,
            },
            output: Some((output, if decides { manifest.output.classes } else { 0 })),
            labels: samples.labels().filter(|_| decides).map(<[usize]>::to_vec),
            tick: Some(tick),
            until: Some(clock.ticks()),
            limits: presentation.limits,
            trained: None,
        })
    }

    /// A network with its own stimuli, cut at their resets. `uncut` says that there were none: such a network runs up
    /// to its own `Tmax`. `tick` is how long a tick is, where that is known.
    ///
    /// # Errors
    /// If the network cannot be run for as long as a segment.
    pub fn segments(
        network: Network,
        segments: Segments,
        uncut: bool,
        tick: Option<Duration>,
        limits: Limits,
    ) -> Result<Self, InputError> {
        let t_max = if uncut { network.t_max() } else { (segments.ticks - 1).min(network.t_max()) };
        let network = network.with_t_max(t_max)?;
        // The last module decides, if it is a row.
        let last = network.modules().len().checked_sub(1).map(ModuleId::new);
        let row = last.and_then(|last| network.modules()[last.index()].kind.neurons());
        let classes = row.filter(|(array, ..)| array.ny == 1 && array.x_min == 0).map(|(array, ..)| array.nx as usize);
        let node = last.and_then(|last| network.outputs(last).first().copied());
        Ok(Self {
            layers: ModuleLayer::of_network(&network),
            connections: None,
            input: vec![true; network.sources().len()],
            network,
            shown: Presented::Segments(segments),
            output: node.map(|node| (node, classes.unwrap_or(0))),
            labels: None,
            tick,
            until: None,
            limits,
            trained: None,
        })
    }

    /// The classes that the output tells apart; none where it is no row.
    pub fn classes(&self) -> Option<usize> {
        self.output.map(|(_, classes)| classes).filter(|&classes| classes > 0)
    }

    /// With the class of each sample.
    pub fn with_labels(self, labels: Option<Vec<usize>>) -> Self {
        Self { labels, ..self }
    }

    /// How long a sample is shown, in milliseconds, where that is known.
    pub fn milliseconds(&self) -> Option<u64> {
        let (ticks, tick) = (self.until?, self.tick?);
        Some((ticks as f64 * tick.seconds() * 1000.0).round() as u64)
    }

    /// Connections with weights; none of a schematic, whose input has no known size.
    pub fn connections(&self) -> Option<u64> {
        self.connections
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        match &self.shown {
            Presented::Samples { values, .. } => values.nrows(),
            Presented::Segments(segments) => segments.samples.len(),
        }
    }

    fn numbers(&self) -> &SampleNumbers {
        match &self.shown {
            Presented::Samples { numbers, .. } => numbers,
            Presented::Segments(segments) => &segments.numbers,
        }
    }

    /// The stimuli of a sample, in ticks of which `factor` make one of the network.
    pub fn stimuli(&self, sample: usize, factor: Tick) -> Vec<Stimulus> {
        let coarse = match &self.shown {
            Presented::Samples { values, kind, numbers, layout, code, clock } => {
                let values = values.row(sample).to_vec();
                let stimuli = layout.stimuli(code.as_ref(), *kind, &values, numbers.number(sample), *clock);
                // That samples have the numbers of the input was checked with the first one.
                stimuli.unwrap_or_default()
            }
            Presented::Segments(segments) => segments.samples[sample].clone(),
        };
        coarse.into_iter().map(|stimulus| stimulus.with_finer_ticks(factor)).collect()
    }

    /// Makes the stimuli of all samples and keeps them, unless they have more than this many events.
    pub fn keep_stimuli(&mut self, most_events: usize) {
        let Presented::Samples { numbers, clock, .. } = &self.shown else { return };
        let (numbers, ticks) = (numbers.clone(), clock.ticks());
        let mut samples = Vec::new();
        let mut events = 0;
        for sample in 0..self.samples() {
            let stimuli = self.stimuli(sample, 1);
            events += stimuli.iter().map(Stimulus::len).sum::<usize>();
            if events > most_events {
                return;
            }
            samples.push(stimuli);
        }
        self.shown = Presented::Segments(Segments { samples, ticks, numbers });
    }

    /// Changes parameters of modules.
    ///
    /// # Errors
    /// If a module may not have a value, or none has the parameter.
    pub fn set(&mut self, settings: &[Setting]) -> Result<(), InputError> {
        Ok(settings.iter().try_for_each(|setting| setting.apply(&mut self.network))?)
    }

    /// By node: events of the first samples in event mode.
    fn spikes(&self) -> Result<Vec<u64>, InputError> {
        const MEASURED: usize = 3;
        let plan = Plan::new(&self.network)?.with_limits(self.limits);
        let mut simulation = Simulation::new(&plan, Mode::Event, &Probes::none());
        let mut sums = vec![0; self.network.nodes().len()];
        for sample in 0..self.samples().min(MEASURED) {
            let record = simulation.run(&self.stimuli(sample, 1))?;
            sums.iter_mut().zip(&record.summary.events).for_each(|(sum, events)| *sum += events);
        }
        Ok(sums)
    }

    /// Puts the network on a machine.
    ///
    /// # Errors
    /// If the two do not go together.
    pub fn on(&self, hardware: &Hardware) -> Result<MappedNetwork, InputError> {
        let (tick, factor) = hardware.agree(self.tick)?;
        let network = self.network.with_finer_ticks(factor)?;
        let spikes = if hardware.wants_spikes() { Some(self.spikes()?) } else { None };
        let subject =
            TargetNetwork { network: &network, layers: &self.layers, input: &self.input, spikes: spikes.as_deref() };
        let resolved = hardware.resolve_with(&subject, tick)?;
        Ok(MappedNetwork { network, resolved, factor })
    }

    /// What a study asks. `stimuli` are those of this network with the machine's factor; `warm_up` is in ticks of the
    /// machine.
    pub fn setup<'a>(
        &'a self,
        mapped: &'a MappedNetwork,
        stimuli: &'a (dyn Fn(usize) -> Vec<Stimulus> + Sync),
        pace: Pace,
        warm_up: Tick,
    ) -> Setup<'a> {
        let until = self.until.map(|ticks| ticks.saturating_mul(mapped.factor)).and_then(|ticks| match pace {
            Pace::Real => Some(ticks),
            Pace::Times(times) => Some(ticks / Tick::from(times.get())),
            Pace::Fastest => None,
        });
        Setup {
            network: &mapped.network,
            hardware: &mapped.resolved,
            stimuli,
            samples: self.samples(),
            numbers: self.numbers(),
            input: &self.input,
            output: self.output,
            labels: self.labels.as_deref(),
            showing: RunSettings { pace, warm_up, until },
            t_max: mapped.network.t_max(),
            ideal: None,
            limits: self.limits,
            paths: 0,
        }
    }
}
