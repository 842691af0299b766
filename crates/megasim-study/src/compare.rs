//! Two ways to run the same samples side by side, and the analog network where it is known: event mode against clocked
//! mode, or a network against a changed copy.
//!
//! Each sample runs from a fresh state on both sides. Figures per layer are over all pairs of a neuron and a sample;
//! samples run in parallel, and what comes out does not depend on the number of threads.

pub mod attribution;
mod detail;
mod divergence;
mod figures;
mod input;
pub(crate) mod sample_run;

pub use attribution::{Cause, Causes};
pub use detail::{LayerDetail, SampleDetail};
pub use divergence::{Divergence, Part, Side};
pub use figures::{
    Accuracy, CellSums, Comparison, Decisions, Disagreement, FirstDivergence, LayerDivergence, LayerFigures, Right,
};
pub use input::{CompareInput, CompareOptions, Compared, compare, read_out_of};
pub use sample_run::{Analog, AnalogError, Course};

use super::layers::{FanOut, Layer};
use super::runner;
use super::sample_source::SampleSource;
use super::statistics::{Pairs, mcnemar};
use megasim_core::control::Control;
use megasim_core::encode;
use megasim_core::engine::{self, Limits, Mode, Options, Plan, Probes, Simulation, TieOrder};
use megasim_core::network::{Network, NetworkError, NodeId, Stimulus};
use megasim_core::readout::ReadOut;
use sample_run::{Decides, Pass, Scale};
use serde::{Deserialize, Serialize};

/// Samples that are looked at together; their counts are in memory at the same time.
const CHUNK: usize = 64;

/// One way to run.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// What it is called in tables.
    pub name: &'a str,
    /// The network; both sides have nodes of the same names in the same order.
    pub network: &'a Network,
    /// How it is run.
    pub mode: Mode,
    /// Which event of a tick comes first, in event mode.
    pub tie_order: TieOrder,
}

/// What decides.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    /// The output node.
    pub node: NodeId,
    /// Its addresses `x` that are classes.
    pub classes: usize,
    /// The right class of each sample, where it is known.
    pub labels: Option<&'a [usize]>,
}

/// A comparison to be made.
#[derive(Debug)]
pub struct Setup<'a> {
    /// One way to run.
    pub left: Run<'a>,
    /// The other.
    pub right: Run<'a>,
    /// The layers that are looked at.
    pub layers: &'a [Layer],
    /// What is shown.
    pub sample_source: &'a SampleSource<'a>,
    /// The network as it was trained, where it is known.
    pub analog: Option<&'a Analog<'a>>,
    /// What decides, where something does.
    pub output: Option<Output<'a>>,
    /// How classes are decided: by spikes, or by count and rest of signed neurons. Runs go on to their end; what
    /// potentials decide is not reported.
    pub read_out: ReadOut,
    /// Ticks per millisecond.
    pub ticks_per_ms: u32,
    /// Milliseconds at the start of each sample whose spikes do not count in rates.
    pub warm_up: u32,
    /// Where a run is stopped.
    pub limits: Limits,
}

/// Why a comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A network cannot be run.
    #[error(transparent)]
    Plan(#[from] engine::Error),
    /// A run failed.
    #[error("sample {sample}, {run}: {source}")]
    Run {
        /// Its number in the data set.
        sample: u64,
        /// The name of the run.
        run: String,
        /// What happened.
        source: engine::Error,
    },
    /// A sample does not fit the input.
    #[error("sample {sample}: {source}")]
    Encode {
        /// Its number in the data set.
        sample: u64,
        /// What is wrong.
        source: encode::Error,
    },
    /// A network cannot be changed as the search for causes needs it.
    #[error("the causes of differences cannot be found for this network: {0}")]
    Changed(NetworkError),
    /// The analog network does not take the samples.
    #[error(transparent)]
    Analog(#[from] AnalogError),
    /// Two networks whose nodes differ.
    #[error("expected networks with the same nodes, found {{{0}}} and {{{1}}} in the same place of the two netlists")]
    Nodes(String, String),
    /// Two networks of different size.
    #[error("expected networks with the same nodes, found {0} and {1} nodes")]
    Sizes(usize, usize),
    /// No spikes are left that count.
    #[error("--warm-up: expected less than a sample, which is {ms} ms long, found {found} ms")]
    LongWarmUp {
        /// Milliseconds.
        found: u32,
        /// Those of a sample.
        ms: f64,
    },
    /// Values as currents, which give each sample its own network.
    #[error("expected a code that makes spikes, found currents, which give each sample its own network")]
    Currents,
    /// The work was cancelled before the first samples were done.
    #[error("stopped before the first samples were done")]
    Cancelled,
    /// Labels of other samples.
    #[error("expected a label for each of {samples} samples, found {labels}")]
    Labels {
        /// Samples shown.
        samples: usize,
        /// Labels given.
        labels: usize,
    },
}

/// What one sample gave.
#[derive(Serialize, Deserialize)]
struct Sample {
    passes: [Pass; 2],
    layers: Vec<LayerSample>,
}

#[derive(Serialize, Deserialize)]
struct LayerSample {
    sides: Pairs,
    analog: Option<[Pairs; 2]>,
    lost: u64,
    extra: u64,
    both: u64,
    difference: i64,
    distance: u64,
    saturated: [u64; 2],
    differing: usize,
    divergence: Option<Divergence>,
}

impl<'a> Setup<'a> {
    fn stimuli(&self, sample: usize) -> Result<Vec<Stimulus>, Error> {
        let failed = |source| Error::Encode { sample: self.sample_source.number(sample), source };
        self.sample_source.stimuli(sample).map_err(failed)
    }

    fn scale(&self) -> Scale {
        Scale::new(self.sample_source.ticks(), self.ticks_per_ms, self.warm_up)
    }

    /// A plan for the samples.
    fn plan(&self, run: &Run) -> Result<Plan, engine::Error> {
        let options = Options { tie_order: run.tie_order, ..Options::default() };
        let last = self.sample_source.last_tick(run.network.t_max());
        Ok(Plan::with_options(run.network, options)?.with_t_max(last).with_limits(self.limits))
    }

    fn decides(&self) -> Option<Decides> {
        let read_out = self.read_out;
        self.output.map(|Output { node, classes, .. }| Decides { node, classes, read_out })
    }

    /// Runs all samples on both sides. Where `control` cancels, the samples up to the first one that did not run come
    /// out.
    ///
    /// # Errors
    /// If the networks do not belong together, if the analog network does not take the samples, or if a run fails.
    pub fn run(&self, control: &dyn Control) -> Result<Comparison, Error> {
        let scale = self.scale();
        if scale.warm_up > 0 && scale.warm_up >= scale.ticks {
            let ms = scale.ticks as f64 / scale.ticks_per_ms as f64;
            return Err(Error::LongWarmUp { found: self.warm_up, ms });
        }
        let (left, right) = (self.left, self.right);
        let (a, b) = (left.network.nodes(), right.network.nodes());
        if a.len() != b.len() {
            return Err(Error::Sizes(a.len(), b.len()));
        }
        if let Some((a, b)) = a.iter().zip(b).find(|(a, b)| a.name != b.name) {
            return Err(Error::Nodes(a.name.clone(), b.name.clone()));
        }
        let samples = self.sample_source.len();
        let labels = self.output.and_then(|output| output.labels);
        if let Some(labels) = labels
            && labels.len() != samples
        {
            return Err(Error::Labels { samples, labels: labels.len() });
        }
        let plans = [self.plan(&left)?, self.plan(&right)?];
        let fans = [FanOut::new(left.network), FanOut::new(right.network)];
        let probes = Probes::all(left.network);
        let mut sums = Sums::new(self, scale);
        for start in (0..samples).step_by(CHUNK) {
            if control.is_cancelled() {
                break;
            }
            let end = (start + CHUNK).min(samples);
            let analog = self.analog.map(|analog| analog.rates(start..end)).transpose()?;
            let chunk = runner::run(
                "compare",
                start..end,
                control,
                || [Simulation::new(&plans[0], left.mode, &probes), Simulation::new(&plans[1], right.mode, &probes)],
                |[left_simulation, right_simulation], k| {
                    let stimuli = self.stimuli(k)?;
                    let pass = |simulation: &mut Simulation, run: &Run, fan| {
                        let record = simulation.run(&stimuli).map_err(|source| Error::Run {
                            sample: self.sample_source.number(k),
                            run: run.name.into(),
                            source,
                        })?;
                        let mut pass = Pass::new(self.layers, self.decides(), &scale, &record, fan);
                        pass.decide_at_the_end(self.decides(), run.network, &record, simulation);
                        Ok::<_, Error>(pass)
                    };
                    let passes = [pass(left_simulation, &left, &fans[0])?, pass(right_simulation, &right, &fans[1])?];
                    Ok::<_, Error>(self.sample(&scale, passes, analog.as_ref().map(|of| (of, k - start))))
                },
                drop,
            )?;
            for (k, sample) in (start..end).zip(chunk.complete()) {
                sums.add(self, k, sample, analog.as_ref().map(|of| (of, k - start)));
            }
        }
        Ok(sums.finish(self, scale))
    }

    fn sample(&self, scale: &Scale, mut passes: [Pass; 2], analog: Option<(&sample_run::Rates, usize)>) -> Sample {
        let ms = scale.counted_ms();
        let step = match self.right.mode {
            Mode::Clocked { dt } if matches!(self.left.mode, Mode::Event) => dt,
            _ => 1,
        };
        let layers = (0..self.layers.len()).map(|layer| {
            let [left, right] = [&passes[0].layers[layer], &passes[1].layers[layer]];
            let mut of = LayerSample {
                sides: Pairs::default(),
                analog: analog.and_then(|(rates, _)| rates.of(layer, 0)).map(|_| [Pairs::default(); 2]),
                lost: 0,
                extra: 0,
                both: 0,
                difference: 0,
                distance: 0,
                saturated: [left.saturated(scale), right.saturated(scale)],
                differing: 0,
                divergence: divergence::first(&left.spikes, &right.spikes, step),
            };
            let reference = analog.and_then(|(rates, k)| rates.of(layer, k));
            for cell in 0..left.counts.len() {
                let (l, r) = (left.counts[cell], right.counts[cell]);
                let rates = [left, right].map(|pass| pass.rate(cell, ms));
                of.sides.add(rates[1], rates[0]);
                of.lost += u64::from(r.saturating_sub(l));
                of.extra += u64::from(l.saturating_sub(r));
                of.differing += usize::from(l != r);
                if let (Some(pairs), Some(reference)) = (&mut of.analog, &reference) {
                    let x = f64::from(reference[cell]);
                    pairs[0].add(x, rates[0]);
                    pairs[1].add(x, rates[1]);
                }
                if let (Some(l), Some(r)) = (left.first(cell), right.first(cell)) {
                    of.both += 1;
                    of.difference += l - r;
                    of.distance += l.abs_diff(r);
                }
            }
            of
        });
        let layers = layers.collect();
        // Single spikes are not needed any more; a group of samples with all of theirs would be most of the memory.
        for layer in passes.iter_mut().flat_map(|pass| &mut pass.layers) {
            layer.spikes = Vec::new();
        }
        Sample { passes, layers }
    }
}

/// Everything that is added up, in the order of the samples.
struct Sums {
    samples: usize,
    layers: Vec<LayerSums>,
    cells: Vec<CellSums>,
    course: Course,
    each: Vec<[Option<usize>; 3]>,
    disagreements: Vec<Disagreement>,
}

#[derive(Default)]
struct LayerSums {
    spikes: [u64; 2],
    lost: u64,
    extra: u64,
    sides: Pairs,
    analog: Option<[Pairs; 2]>,
    both: u64,
    difference: i64,
    distance: u64,
    saturated: [u64; 2],
    parted: usize,
    parted_first: usize,
    first: Option<(Divergence, u64)>,
}

impl Sums {
    fn new(setup: &Setup, scale: Scale) -> Self {
        let cells = setup.layers.iter().enumerate().map(|(k, layer)| CellSums {
            spikes: [vec![0; layer.cells], vec![0; layer.cells]],
            analog: setup.analog.filter(|analog| analog.has(k)).map(|_| vec![0.0; layer.cells]),
        });
        Self {
            samples: 0,
            layers: setup.layers.iter().map(|_| LayerSums::default()).collect(),
            cells: cells.collect(),
            course: Course::new(&scale, setup.output.is_some_and(|output| output.labels.is_some())),
            each: Vec::new(),
            disagreements: Vec::new(),
        }
    }

    fn add(&mut self, setup: &Setup, k: usize, sample: Sample, analog: Option<(&sample_run::Rates, usize)>) {
        self.samples += 1;
        let number = setup.sample_source.number(k);
        let Sample { passes, layers } = sample;
        let mut parted_before = false;
        for (layer, of) in layers.iter().enumerate() {
            let sums = &mut self.layers[layer];
            let cells = &mut self.cells[layer];
            for (side, pass) in passes.iter().enumerate() {
                let counts = &pass.layers[layer].counts;
                sums.spikes[side] += counts.iter().map(|&n| u64::from(n)).sum::<u64>();
                cells.spikes[side].iter_mut().zip(counts).for_each(|(sum, &n)| *sum += u64::from(n));
                sums.saturated[side] += of.saturated[side];
            }
            if let (Some(sums), Some((rates, k))) = (&mut cells.analog, analog)
                && let Some(row) = rates.of(layer, k)
            {
                sums.iter_mut().zip(row).for_each(|(sum, &rate)| *sum += f64::from(rate));
            }
            sums.lost += of.lost;
            sums.extra += of.extra;
            sums.sides.merge(&of.sides);
            if let Some(pairs) = &of.analog {
                let sums = sums.analog.get_or_insert([Pairs::default(); 2]);
                sums.iter_mut().zip(pairs).for_each(|(sum, pairs)| sum.merge(pairs));
            }
            sums.both += of.both;
            sums.difference += of.difference;
            sums.distance += of.distance;
            if let Some(divergence) = of.divergence {
                sums.parted += 1;
                sums.parted_first += usize::from(!parted_before);
                parted_before = true;
                if sums.first.is_none_or(|(first, _)| divergence.tick < first.tick) {
                    sums.first = Some((divergence, number));
                }
            }
        }
        let labels = setup.output.and_then(|output| output.labels);
        let label = labels.map(|labels| labels[k]);
        self.course.add(&passes, label);
        let analog = setup.analog.and_then(|analog| analog.class(k));
        let decisions = [passes[0].decision(), passes[1].decision()];
        self.each.push([decisions[0], decisions[1], analog]);
        if setup.output.is_some() && decisions[0] != decisions[1] {
            let parted = layers.iter().enumerate().filter(|(_, of)| of.divergence.is_some() || of.differing > 0);
            let layers = parted.map(|(layer, of)| LayerDivergence {
                name: setup.layers[layer].name.clone(),
                spikes: [0, 1].map(|side| passes[side].layers[layer].counts.iter().map(|&n| u64::from(n)).sum::<u64>()),
                neurons: of.differing,
                first: of.divergence.map(|divergence| setup.first(layer, divergence, number)),
            });
            self.disagreements.push(Disagreement {
                sample: number,
                label,
                decisions,
                analog,
                layers: layers.collect(),
            });
        }
    }

    fn finish(mut self, setup: &Setup, scale: Scale) -> Comparison {
        self.course.finish(self.samples);
        let samples = self.samples;
        let n = samples.max(1) as f64;
        let mut all = Pairs::default();
        self.layers.iter().for_each(|sums| all.merge(&sums.sides));
        let layers = self.layers.into_iter().enumerate().map(|(k, sums)| {
            let layer = &setup.layers[k];
            let neurons = layer.cells.max(1) as f64;
            let silent = |side: usize| self.cells[k].spikes[side].iter().filter(|&&n| n == 0).count() as f64 / neurons;
            let mean = |sum: f64| (sums.both > 0).then(|| sum / sums.both as f64 / scale.ticks_per_ms as f64);
            LayerFigures {
                name: layer.name.clone(),
                neurons: layer.cells,
                spikes: sums.spikes.map(|sum| sum as f64 / n),
                lost: sums.lost as f64 / n,
                extra: sums.extra as f64 / n,
                sides: sums.sides.figures(),
                analog: sums.analog.map(|pairs| pairs.map(|pairs| pairs.figures())),
                first_spike_difference_ms: mean(sums.difference as f64),
                first_spike_distance_ms: mean(sums.distance as f64),
                silent: [silent(0), silent(1)],
                saturated: sums.saturated.map(|sum| sum as f64 / neurons / n),
                parted: sums.parted,
                parted_first: sums.parted_first,
                first: sums.first.map(|(divergence, sample)| setup.first(k, divergence, sample)),
            }
        });
        let decisions = setup.output.map(|output| decisions(&self.each, &output));
        Comparison {
            names: [setup.left.name.into(), setup.right.name.into()],
            samples,
            duration_ms: scale.ticks as f64 / scale.ticks_per_ms as f64,
            decisions,
            all_layers: all.figures(),
            layers: layers.collect(),
            course: self.course,
            disagreements: self.disagreements,
            cells: self.cells,
        }
    }
}

impl Setup<'_> {
    fn first(&self, layer: usize, divergence: Divergence, sample: u64) -> FirstDivergence {
        FirstDivergence {
            sample,
            tick: divergence.tick,
            ms: divergence.tick as f64 / f64::from(self.ticks_per_ms),
            place: self.layers[layer].place(divergence.cell as usize),
            only: match divergence.side {
                Side::Left => self.left.name.into(),
                Side::Right => self.right.name.into(),
            },
        }
    }
}

fn decisions(each: &[[Option<usize>; 3]], output: &Output) -> Decisions {
    let n = each.len();
    let share = |alike: &dyn Fn(&[Option<usize>; 3]) -> bool| {
        each.iter().filter(|of| alike(of)).count() as f64 / n.max(1) as f64
    };
    let analog = each.iter().all(|of| of[2].is_some()) && n > 0;
    let right = output.labels.map(|labels| {
        let is_right = |k: usize, who: usize| each[k][who] == Some(labels[k]);
        let count = |who: usize| Accuracy::new((0..n).filter(|&k| is_right(k, who)).count(), n);
        let only = |who: usize| (0..n).filter(|&k| is_right(k, who) && !is_right(k, 1 - who)).count();
        let confusion = |who: usize| {
            let mut matrix = vec![vec![0; output.classes + 1]; output.classes];
            for (of, &label) in each.iter().zip(labels) {
                if let Some(row) = matrix.get_mut(label) {
                    row[of[who].unwrap_or(output.classes)] += 1;
                }
            }
            matrix
        };
        Right {
            sides: [count(0), count(1)],
            analog: analog.then(|| count(2)),
            only: [only(0), only(1)],
            mcnemar: mcnemar(only(0), only(1)),
            confusion: [confusion(0), confusion(1)],
        }
    });
    Decisions {
        classes: output.classes,
        right,
        agreement: share(&|of| of[0] == of[1]),
        agreement_analog: analog.then(|| [share(&|of| of[0] == of[2]), share(&|of| of[1] == of[2])]),
        undecided: [0, 1].map(|who| each.iter().filter(|of| of[who].is_none()).count()),
        each: each.to_vec(),
    }
}
