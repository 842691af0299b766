//! What runs on machines: a network with its samples, for `latency` and for `sweep --hardware`.

use crate::cli::diagnostic::{self, report};
use crate::cli::escape;
use crate::cli::input::{InputArgs, LoadedInput, SchematicInput};
use crate::cli::presentation::Presentation;
use megasim::convert::settings::Setting;
use megasim::convert::{LabelledSamples, Manifest};
use megasim::encode::{Clock, InputMap, SampleKind, SpikeEncoder};
use megasim::engine::Limits;
use megasim::engine::machine::{Pace, RunSettings};
use megasim::hardware::{Duration, Hardware, ModuleLayer, Resolved};
use megasim::network::{ModuleId, Network, NodeId, Stimulus, Tick};
use megasim::study::latency::Question;
use megasim::study::material::Pieces;
use miette::{Result, bail};
use ndarray::Array2;
use std::path::PathBuf;

/// A network with its samples, before it is put on a machine.
pub struct Opened {
    pub network: Network,
    pub layers: Vec<ModuleLayer>,
    shown: Shown,
    /// The node that decides, and its classes; 0 where it is no row.
    pub output: Option<(NodeId, usize)>,
    pub labels: Option<Vec<usize>>,
    /// By source: input, and no clock.
    pub input: Vec<bool>,
    /// How long a tick of the network is.
    tick: Option<Duration>,
    /// How long a sample is shown, in ticks of the network, where somebody said.
    until: Option<Tick>,
    limits: Limits,
}

enum Shown {
    Images { values: Array2<f32>, first: u64, layout: Box<InputMap>, code: Box<dyn SpikeEncoder>, clock: Clock },
    Pieces(Pieces),
}

/// A network on a machine, in ticks of the machine.
pub struct Staged {
    pub network: Network,
    pub resolved: Resolved,
    /// How many of them one tick of the network is.
    pub factor: Tick,
}

impl Opened {
    /// Reads network and samples, and says which files that were. `tick` is how long one of a schematic's is.
    ///
    /// # Errors
    /// If a file cannot be read, does not fit the others, or is missing.
    pub fn open(
        given: &InputArgs,
        presentation: &Presentation,
        tick: Option<Duration>,
    ) -> Result<(Self, Vec<PathBuf>)> {
        if !given.is_schematic() {
            Self::check(presentation)?;
            if tick.is_some() {
                bail!("--tick is for schematics; a millisecond of a converted network is --ticks-per-ms ticks");
            }
        }
        match given.open(presentation)? {
            LoadedInput::Converted(loaded) => {
                let converted = &loaded.converted;
                if converted.deciding_spikes().is_none() {
                    escape::warn(format_args!(
                        "the output gathers potentials and never spikes, so no decisions are told"
                    ));
                }
                let (network, output) = (converted.network().clone(), (converted.layout(), converted.output()));
                let opened = Self::converted(network, output, converted.manifest(), &loaded.samples, presentation)?;
                Ok((opened, loaded.inputs))
            }
            LoadedInput::Schematic(schematic) => {
                let inputs = schematic.inputs.clone();
                Ok((Self::schematic(schematic, given, presentation, tick)?, inputs))
            }
        }
    }

    /// Refuses what has no events.
    fn check(presentation: &Presentation) -> Result<()> {
        if presentation.code()?.is_current() {
            bail!("--encode: values as currents have no input events, whose times this study is about");
        }
        Ok(())
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
    ) -> Result<Self> {
        Self::check(presentation)?;
        SampleKind::Still.check(layout.numbers(), samples.values().ncols()).map_err(report)?;
        let clock = presentation.clock();
        let Some(tick) = Duration::part_of_a_ms(clock.ticks_per_ms) else {
            bail!("--ticks-per-ms: expected a number that divides 10^12, so that a tick is whole femtoseconds");
        };
        let input: Vec<NodeId> = layout.nodes(&network).collect();
        let layers = ModuleLayer::of_manifest(&network, manifest);
        // Potentials, which no machine reports, decide nothing here.
        let decides = manifest.output.form.spikes();
        Ok(Self {
            input: network.sources().iter().map(|node| input.contains(node)).collect(),
            // Signed neurons run on until nothing is pending: only their final counts are exact.
            network: match layout.settles() {
                true => network,
                false => network.with_t_max(clock.ticks() - 1).map_err(report)?,
            },
            layers,
            shown: Shown::Images {
                values: samples.values().to_owned(),
                first: samples.first(),
                layout: Box::new(layout.clone()),
                code: presentation.code()?,
                clock,
            },
            output: Some((output, if decides { manifest.output.classes } else { 0 })),
            labels: decides.then(|| samples.labels().to_vec()),
            tick: Some(tick),
            until: Some(clock.ticks()),
            limits: presentation.limits(),
        })
    }

    /// A schematic with its own stimuli.
    ///
    /// # Errors
    /// If there are labels that do not fit.
    pub fn schematic(
        schematic: SchematicInput,
        given: &InputArgs,
        presentation: &Presentation,
        tick: Option<Duration>,
    ) -> Result<Self> {
        let SchematicInput { network, pieces, uncut, .. } = schematic;
        // What is not cut runs as the schematic says.
        let t_max = if uncut { network.t_max() } else { (pieces.ticks - 1).min(network.t_max()) };
        let network = network.with_t_max(t_max).map_err(report)?;
        // The last module decides, if it is a row.
        let last = network.modules().len().checked_sub(1).map(ModuleId::new);
        let row = last.and_then(|last| network.modules()[last.index()].kind.neurons());
        let classes = row.filter(|(array, ..)| array.ny == 1 && array.x_min == 0).map(|(array, ..)| array.nx as usize);
        let node = last.and_then(|last| network.outputs(last).first().copied());
        let output = node.zip(classes);
        let labels = given.labels(presentation, &pieces, output.map(|(_, classes)| classes))?;
        Ok(Self {
            layers: ModuleLayer::of_network(&network),
            input: vec![true; network.sources().len()],
            network,
            shown: Shown::Pieces(pieces),
            output: output.or(node.map(|node| (node, 0))),
            labels,
            tick,
            until: None,
            limits: presentation.limits(),
        })
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        match &self.shown {
            Shown::Images { values, .. } => values.nrows(),
            Shown::Pieces(pieces) => pieces.samples.len(),
        }
    }

    fn first(&self) -> u64 {
        match &self.shown {
            Shown::Images { first, .. } => *first,
            Shown::Pieces(pieces) => pieces.skipped as u64,
        }
    }

    /// The stimuli of a sample, in ticks of which `factor` make one of the network.
    pub fn stimuli(&self, sample: usize, factor: Tick) -> Vec<Stimulus> {
        let coarse = match &self.shown {
            Shown::Images { values, first, layout, code, clock } => {
                let values = values.row(sample).to_vec();
                let stimuli = layout.stimuli(code.as_ref(), SampleKind::Still, &values, first + sample as u64, *clock);
                // That samples have the numbers of the input was checked with the first one.
                stimuli.unwrap_or_default()
            }
            Shown::Pieces(pieces) => pieces.samples[sample].clone(),
        };
        coarse.into_iter().map(|stimulus| stimulus.with_finer_ticks(factor)).collect()
    }

    /// Makes the stimuli of all samples and keeps them, unless they have more than so many events.
    pub fn keep_stimuli(&mut self, most_events: usize) {
        let Shown::Images { first, clock, .. } = &self.shown else { return };
        let (skipped, ticks) = (usize::try_from(*first).unwrap_or(usize::MAX), clock.ticks());
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
        self.shown = Shown::Pieces(Pieces { samples, ticks, skipped });
    }

    /// Changes parameters of modules.
    ///
    /// # Errors
    /// If a module may not have a value, or none has the parameter.
    pub fn set(&mut self, settings: &[Setting]) -> Result<()> {
        settings.iter().try_for_each(|setting| setting.apply(&mut self.network)).map_err(report)
    }

    /// Puts the network on a machine.
    ///
    /// # Errors
    /// If the two do not go together.
    pub fn on(&self, hardware: &Hardware) -> Result<Staged> {
        let (tick, factor) = hardware.agree(self.tick).map_err(|error| diagnostic::hardware(&error))?;
        let network = self.network.with_finer_ticks(factor).map_err(report)?;
        let resolved = hardware.resolve(&network, &self.layers, tick).map_err(|error| diagnostic::hardware(&error))?;
        Ok(Staged { network, resolved, factor })
    }

    /// What a study asks. `stimuli` are those of this network with the machine's factor; `warm_up` is in ticks of the
    /// machine.
    pub fn question<'a>(
        &'a self,
        staged: &'a Staged,
        stimuli: &'a (dyn Fn(usize) -> Vec<Stimulus> + Sync),
        pace: Pace,
        warm_up: Tick,
    ) -> Question<'a> {
        let until = self.until.map(|ticks| ticks.saturating_mul(staged.factor)).and_then(|ticks| match pace {
            Pace::Real => Some(ticks),
            Pace::Times(times) => Some(ticks / Tick::from(times.get())),
            Pace::Fastest => None,
        });
        Question {
            network: &staged.network,
            hardware: &staged.resolved,
            stimuli,
            samples: self.samples(),
            first: self.first(),
            input: &self.input,
            output: self.output,
            labels: self.labels.as_deref(),
            showing: RunSettings { pace, warm_up, until },
            t_max: staged.network.t_max(),
            ideal: None,
            limits: self.limits,
        }
    }
}
