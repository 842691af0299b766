//! A comparison of event mode and clocked mode of a converted network, from its samples to its figures.

use super::{Analog, AnalogError, Causes, Comparison, Error, Output, Run, Setup};
use crate::layers::Layer;
use crate::sample_source::{SampleSource, Segments};
use megasim_convert::{ConvertedModel, LabelledSamples};
use megasim_core::control::Control;
use megasim_core::encode::{Clock, DEFAULT_INPUT_RATE, DEFAULT_TICKS_PER_MS, Regular, SpikeEncoder};
use megasim_core::engine::{Limits, Mode, TieOrder};
use megasim_core::network::{Network, NodeId, Tick};
use megasim_core::readout::{self, ReadOut};
use serde::Serialize;

/// A network and samples for a comparison: a converted network, or any network with segments of its stimuli.
#[derive(Debug)]
pub struct CompareInput<'a> {
    network: &'a Network,
    layers: Vec<Layer>,
    samples: Samples<'a>,
    output: Option<(NodeId, usize)>,
    labels: Option<Vec<usize>>,
}

#[derive(Debug)]
enum Samples<'a> {
    Converted { converted: &'a ConvertedModel, samples: &'a LabelledSamples, manifest_layers: Vec<usize> },
    Segments(Segments),
}

impl<'a> CompareInput<'a> {
    /// A converted network with its samples.
    pub fn converted(converted: &'a ConvertedModel, samples: &'a LabelledSamples) -> Self {
        let network = converted.network();
        let (manifest_layers, layers) = Layer::of_manifest(network, converted.manifest()).into_iter().unzip();
        Self {
            network,
            layers,
            output: converted.deciding_spikes(),
            labels: samples.labels().map(<[usize]>::to_vec),
            samples: Samples::Converted { converted, samples, manifest_layers },
        }
    }

    /// A network with segments of its stimuli; its last layer decides, if it is a row.
    pub fn segments(network: &'a Network, segments: Segments) -> Self {
        let layers = Layer::of_network(network);
        let output = match layers.last().map(|layer| &layer.nodes[..]) {
            Some([cells]) if cells.ny == 1 && cells.x == 0 => Some((cells.node, cells.nx)),
            _ => None,
        };
        Self { network, layers, samples: Samples::Segments(segments), output, labels: None }
    }

    /// The classes of the samples, where they were not known.
    pub fn with_labels(self, labels: Option<Vec<usize>>) -> Self {
        Self { labels: labels.or(self.labels), ..self }
    }

    /// The network.
    pub fn network(&self) -> &'a Network {
        self.network
    }

    /// The layers that are compared.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The node that decides by its spikes, and its classes.
    pub fn output(&self) -> Option<(NodeId, usize)> {
        self.output
    }

    /// What decides, with the classes of the samples.
    pub fn decides(&self) -> Option<Output<'_>> {
        self.output.map(|(node, classes)| Output { node, classes, labels: self.labels.as_deref() })
    }

    /// The converted network with its samples, and the numbers of the layers in its manifest; none of segments.
    pub fn conversion(&self) -> Option<(&'a ConvertedModel, &'a LabelledSamples, &[usize])> {
        match &self.samples {
            Samples::Converted { converted, samples, manifest_layers } => Some((converted, samples, manifest_layers)),
            Samples::Segments(_) => None,
        }
    }

    /// What is shown. Segments are spikes already, and need no code.
    pub fn sample_source<'m>(&'m self, code: &'m dyn SpikeEncoder, clock: Clock) -> SampleSource<'m> {
        match &self.samples {
            Samples::Converted { converted, samples, .. } => SampleSource::Images {
                values: samples.values(),
                kind: samples.kind(),
                numbers: samples.numbers(),
                layout: converted.layout(),
                code,
                clock,
            },
            Samples::Segments(segments) => SampleSource::Segments(segments.clone()),
        }
    }

    /// The trained network, where there is one.
    ///
    /// # Errors
    /// If it is not the network that was converted.
    pub fn analog(&self, code: &dyn SpikeEncoder, clock: Clock) -> Result<Option<Analog<'_>>, AnalogError> {
        let Some((converted, samples, layers)) = self.conversion() else { return Ok(None) };
        let (Some(model), Some(classes)) = (converted.model(), samples.analog()) else { return Ok(None) };
        let (manifest, period) = (converted.manifest(), code.bias_period(clock));
        let values = samples.shown_to_trained(converted.input_shape());
        Analog::new(&model.graph, manifest, layers, values.view(), classes, period).map(Some)
    }
}

/// How event mode and clocked mode are compared.
#[derive(Debug)]
#[non_exhaustive]
pub struct CompareOptions {
    /// Ticks per step of clocked mode, above 0; 1 where nothing else is asked for.
    pub dt: Tick,
    /// Which of several events of one tick comes first, in event mode.
    pub tie_order: TieOrder,
    /// How values become spikes; regular code at 1000 spikes per second where nothing else is asked for.
    pub code: Box<dyn SpikeEncoder>,
    /// How long each sample is shown, and how fine time is; 100 ms of 10 ticks where nothing else is asked for.
    pub clock: Clock,
    /// How classes are decided; none: what suits the output ([`read_out_of`]). Runs go on to their end.
    pub read_out: Option<ReadOut>,
    /// Milliseconds at the start of each sample whose spikes do not count in rates.
    pub warm_up: u32,
    /// Samples on which the causes of lost and extra spikes are looked for; 0: none.
    pub causes: usize,
    /// Where a run is stopped.
    pub limits: Limits,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            dt: 1,
            tie_order: TieOrder::Netlist,
            code: Box::new(Regular { input_rate: DEFAULT_INPUT_RATE }),
            clock: Clock { duration: 100, ticks_per_ms: DEFAULT_TICKS_PER_MS },
            read_out: None,
            warm_up: 0,
            causes: 0,
            limits: Limits::of_samples(),
        }
    }
}

impl CompareOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ticks per step of clocked mode, above 0.
    pub fn dt(self, dt: Tick) -> Self {
        Self { dt, ..self }
    }

    /// Which of several events of one tick comes first, in event mode.
    pub fn tie_order(self, tie_order: TieOrder) -> Self {
        Self { tie_order, ..self }
    }

    /// How values become spikes.
    pub fn code(self, code: impl SpikeEncoder + 'static) -> Self {
        Self { code: Box::new(code), ..self }
    }

    /// How long each sample is shown, in milliseconds.
    pub fn duration(self, duration: u32) -> Self {
        Self { clock: Clock { duration, ..self.clock }, ..self }
    }

    /// Milliseconds at the start of each sample whose spikes do not count in rates.
    pub fn warm_up(self, warm_up: u32) -> Self {
        Self { warm_up, ..self }
    }

    /// Samples on which the causes of lost and extra spikes are looked for.
    pub fn causes(self, samples: usize) -> Self {
        Self { causes: samples, ..self }
    }

    /// Where a run is stopped.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

/// What decides on an output: count and rest of signed neurons, else most spikes.
pub fn read_out_of(network: &Network, output: Option<(NodeId, usize)>) -> ReadOut {
    match output {
        Some((output, _)) if readout::is_signed(network, output) => ReadOut::CountAndRest,
        _ => ReadOut::default(),
    }
}

/// What a comparison gives.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Compared {
    /// The figures of both modes.
    pub comparison: Comparison,
    /// What differences are put down to, where that was asked for.
    pub causes: Option<Causes>,
}

/// Compares event mode with clocked mode and the trained network, layer by layer. Where `control` cancels, the samples
/// up to the first one that did not run count.
///
/// ```
/// use megasim_ann::import::Model;
/// use megasim_convert::{Convert, ConvertOptions, LabelledSamples};
/// use megasim_data::Dataset;
/// use megasim_study::compare::{CompareOptions, compare};
/// # std::env::set_current_dir("../..")?;
///
/// let data = Dataset::open("examples/digits".as_ref())?;
/// let converted = Model::open("examples/digits/digits_cnn.keras")?.convert(&data, &ConvertOptions::new())?;
/// let samples = LabelledSamples::test(&converted, &data, 0, Some(10))?;
/// let found = compare(&converted, &samples, &CompareOptions::new().causes(5), &())?;
/// let decisions = found.comparison.decisions.ok_or("the output spikes")?;
/// assert!(decisions.agreement > 0.9);
/// assert_eq!(found.causes.map(|causes| causes.samples), Some(5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the samples do not fit, if the code makes currents, or if a run fails.
pub fn compare(
    converted: &ConvertedModel,
    samples: &LabelledSamples,
    options: &CompareOptions,
    control: &dyn Control,
) -> Result<Compared, Error> {
    if options.code.is_current() {
        return Err(Error::Currents);
    }
    let input = CompareInput::converted(converted, samples);
    let code = samples.recorded().map_or(options.code.as_ref(), |recorded| recorded as &dyn SpikeEncoder);
    let sample_source = input.sample_source(code, options.clock);
    let analog = input.analog(code, options.clock)?;
    let (network, clocked) = (input.network(), Mode::Clocked { dt: options.dt });
    let setup = Setup {
        left: Run { name: "event", network, mode: Mode::Event, tie_order: options.tie_order },
        right: Run { name: "clocked", network, mode: clocked, tie_order: TieOrder::Netlist },
        layers: input.layers(),
        sample_source: &sample_source,
        analog: analog.as_ref(),
        output: input.decides(),
        read_out: options.read_out.unwrap_or_else(|| read_out_of(network, input.output())),
        ticks_per_ms: options.clock.ticks_per_ms,
        warm_up: options.warm_up,
        limits: options.limits,
    };
    control.start("compare", sample_source.len());
    let comparison = setup.run(control)?;
    if comparison.samples == 0 {
        return Err(Error::Cancelled);
    }
    let causes = if options.causes > 0 && !control.is_cancelled() {
        control.start("causes", options.causes.min(sample_source.len()));
        setup.causes(options.causes, control)?.filter(|causes| causes.samples > 0)
    } else {
        None
    };
    Ok(Compared { comparison, causes })
}
