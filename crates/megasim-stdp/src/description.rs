//! A whole network in words: filters, layers, what each learns and how, read-out. Written as TOML.

use super::{Encoder, Error, FilterKernel, Pair, Pooling, Shape, TimeSteps};
use serde::{Deserialize, Serialize};

/// A single-spike network: what a TOML description says.
///
/// ```
/// let description = megasim_stdp::Description::from_toml(r#"
///     name = "edges"
///     [input]
///     height = 28
///     width = 28
///     [encoding]
///     kernels = [{ dog = { window_size = 7, sigma1 = 1.0, sigma2 = 2.0 } }]
///     padding = 3
///     thresholds = 50.0
///     time_steps = 15
///     [[layer]]
///     type = "convolution"
///     maps = 8
///     kernel_size = 5
///     threshold = 10.0
///     [layer.learning]
///     rule = "stdp"
///     kwta = 3
/// "#)?;
/// assert_eq!(description.shapes()?.last().unwrap().dim(), (8, 24, 24));
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// What it is called.
    pub name: String,
    /// Where it is described.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The images.
    pub input: Input,
    /// From image to spikes.
    pub encoding: Encoding,
    /// In order.
    #[serde(rename = "layer")]
    pub layers: Vec<Layer>,
    /// From spikes to a class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readout: Option<Readout>,
}

/// Size and range of the images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Pixels between 0 and 1 are multiplied by this before they are filtered: thresholds are on its scale.
    #[serde(default = "default_scale")]
    pub scale: f32,
}

fn default_scale() -> f32 {
    255.0
}

/// From image to spikes; steps that are not given are left out. They happen in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    /// Filter kernels; without any the pixels themselves are encoded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<FilterKernel>,
    /// Rows and columns of zeros around the image.
    #[serde(default)]
    pub padding: usize,
    /// Filter responses below become 0: one number, or one for each kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<OneOrEach>,
    /// Absolute value of the responses, after the thresholds.
    #[serde(default)]
    pub use_abs: bool,
    /// Maximum over windows of responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Radius of local normalisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_normalization: Option<usize>,
    /// Factors of lateral inhibition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lateral_inhibition: Option<InhibitionFactors>,
    /// Number of time bins, or "continuous".
    pub time_steps: TimeSteps,
    /// Only the earliest (then strongest) map at each position spikes.
    #[serde(default)]
    pub pointwise_inhibition: bool,
}

/// Factors of lateral inhibition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InhibitionFactors {
    /// By distance, nearest first.
    ByDistance(Vec<f64>),
    /// A kernel, row by row, of an odd number of rows and of columns.
    Kernel(Vec<Vec<f64>>),
}

/// One number for all, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrEach {
    /// For all.
    One(f32),
    /// For each.
    Each(Vec<f32>),
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Layer {
    /// Neurons with weights.
    Convolution(ConvolutionLayer),
    /// The earliest spike of each window.
    Pooling(Pooling),
    /// One map at each position.
    PointwiseInhibition(PointwiseLayer),
}

/// Neurons with weights shared over a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvolutionLayer {
    /// Number of maps.
    pub maps: usize,
    /// Size of the kernel.
    pub kernel_size: Pair,
    /// Distance between fields.
    #[serde(default = "one")]
    pub stride: Pair,
    /// Silent neurons around the input.
    #[serde(default = "zero")]
    pub padding: Pair,
    /// Mean of the initial weights.
    #[serde(default = "default_mean")]
    pub weight_mean: f64,
    /// Their standard deviation.
    #[serde(default = "default_deviation")]
    pub weight_std: f64,
    /// A neuron fires above it; without one, every neuron with a potential fires in the last bin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How it learns; without, its weights stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning: Option<Learning>,
}

fn one() -> Pair {
    1.into()
}
fn zero() -> Pair {
    0.into()
}
fn default_mean() -> f64 {
    0.8
}
fn default_deviation() -> f64 {
    0.02
}
fn yes() -> bool {
    true
}
fn unit() -> f64 {
    1.0
}
fn once() -> usize {
    1
}

/// Inhibition between the maps of the layer before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointwiseLayer {
    /// Only while later layers learn, not when features are taken.
    #[serde(default)]
    pub training_only: bool,
}

/// How a layer learns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "lowercase")]
pub enum Learning {
    /// STDP of the winners.
    Stdp(StdpLearning),
    /// Reward-modulated STDP of the one winner, which is also the decision.
    Rstdp(RewardLearning),
}

/// STDP of the winners of each stimulus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdpLearning {
    /// How often all stimuli are shown.
    #[serde(default = "once")]
    pub passes: usize,
    /// Rates of potentiation and depression.
    #[serde(default)]
    pub learning_rate: LearningRates,
    /// Slows weights down near the bounds.
    #[serde(default = "yes")]
    pub use_stabilizer: bool,
    /// Least weight.
    #[serde(default)]
    pub lower_bound: f64,
    /// Largest weight.
    #[serde(default = "unit")]
    pub upper_bound: f64,
    /// Number of winners.
    #[serde(default = "once")]
    pub kwta: usize,
    /// Square around a winner in which no other may win.
    #[serde(default)]
    pub inhibition_radius: usize,
    /// One map at each position before winners are chosen.
    #[serde(default = "yes")]
    pub pointwise_inhibition: bool,
    /// How the rates grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Ends the layer's training after the pass in which the mean of `w (1 - w)` falls below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convergence: Option<f64>,
}

/// Rates of potentiation and depression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LearningRates {
    /// The same for all maps.
    All([f64; 2]),
    /// A pair for each map.
    Each(Vec<[f64; 2]>),
}

impl Default for LearningRates {
    fn default() -> Self {
        Self::All([0.004, -0.003])
    }
}

impl LearningRates {
    /// The pairs, in the order of the maps; one where all have the same.
    pub fn pairs(&self) -> &[[f64; 2]] {
        match self {
            Self::All(pair) => std::slice::from_ref(pair),
            Self::Each(pairs) => pairs,
        }
    }
}

/// After each such number of stimuli the rate of potentiation is multiplied, up to a maximum; that of depression
/// follows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Stimuli from one step to the next.
    pub every: u64,
    /// What potentiation is multiplied by.
    #[serde(default = "default_factor")]
    pub factor: f64,
    /// Its largest value.
    #[serde(default = "default_maximum")]
    pub maximum: f64,
    /// Depression as a multiple of potentiation.
    #[serde(default = "default_ratio")]
    pub ratio: f64,
}

fn default_factor() -> f64 {
    2.0
}
fn default_maximum() -> f64 {
    0.15
}
fn default_ratio() -> f64 {
    -0.75
}

/// Reward-modulated STDP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardLearning {
    /// How often all stimuli are shown.
    #[serde(default = "once")]
    pub passes: usize,
    /// Rates of potentiation and depression after a right decision.
    pub reward: [f64; 2],
    /// Rates after a wrong one.
    pub punish: [f64; 2],
    /// Slows weights down near the bounds.
    #[serde(default = "yes")]
    pub use_stabilizer: bool,
    /// Least weight.
    #[serde(default)]
    pub lower_bound: f64,
    /// Largest weight.
    #[serde(default = "unit")]
    pub upper_bound: f64,
    /// Stimuli after which the rates follow the fractions right and wrong; a pass where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Least factor of the rates.
    #[serde(default)]
    pub minimum: f64,
    /// What a fraction adds to it.
    #[serde(default = "unit")]
    pub gain: f64,
    /// Probability that a map is silent for a pass.
    #[serde(default)]
    pub dropout: f64,
    /// Whether stimuli come in another order in each pass.
    #[serde(default)]
    pub shuffle: bool,
}

/// From spikes to a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Readout {
    /// The class of the last layer's first (strongest) neuron; maps represent classes in blocks.
    Winner {
        /// Consecutive maps of one class.
        maps_per_class: usize,
    },
    /// A linear classifier on which neurons of the last layer spike.
    Linear {
        /// Weight of the errors against that of the norm.
        #[serde(default = "unit")]
        c: f64,
    },
}

/// Most weights, or neurons, of a layer: a gigabyte. Beyond it a description is taken to be a mistake.
const LARGEST_LAYER: u64 = 1 << 28;

pub(super) fn wrong(place: impl Into<String>, message: impl Into<String>) -> Error {
    Error::Description { line: None, place: place.into(), message: message.into() }
}

impl Description {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// [`Error::Toml`] for what is no TOML; [`Error::Description`], with its line, for what makes no network.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        Self::of(text.parse()?)
            .and_then(|description| description.check().map(|()| description))
            .map_err(|error| super::place::with_line(error, text))
    }

    /// Reads the values of a text. Of a text itself, each type here would be compiled for three kinds of tables.
    fn of(document: toml::Table) -> Result<Self, Error> {
        let document = toml::Value::Table(document);
        document.clone().try_into().map_err(|error: toml::de::Error| {
            let message = error.to_string();
            wrong(Self::faulty_place(&document), message.trim_end().replace('\n', " "))
        })
    }

    /// The table that cannot be read.
    fn faulty_place(document: &toml::Value) -> String {
        fn fails<T: serde::de::DeserializeOwned>(value: Option<&toml::Value>) -> bool {
            value.is_some_and(|value| value.clone().try_into::<T>().is_err())
        }
        if fails::<Input>(document.get("input")) {
            return "[input]".into();
        }
        if fails::<Encoding>(document.get("encoding")) {
            return "[encoding]".into();
        }
        let layers = document.get("layer").and_then(toml::Value::as_array).map_or(&[][..], Vec::as_slice);
        match layers.iter().position(|layer| fails::<Layer>(Some(layer))) {
            Some(layer) => format!("layer {}", layer + 1),
            None if fails::<Readout>(document.get("readout")) => "[readout]".into(),
            None => "the description".into(),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let shapes = self.shapes()?;
        if self.layers.is_empty() {
            return Err(wrong("[[layer]]", "expected at least one layer, found none"));
        }
        for (number, layer) in self.layers.iter().enumerate() {
            let weights = match layer {
                Layer::Convolution(layer) => {
                    let kernel = layer.kernel_size.rows as u64 * layer.kernel_size.columns as u64;
                    kernel.saturating_mul(shapes[number].maps() as u64).saturating_mul(layer.maps as u64)
                }
                _ => 0,
            };
            let neurons = shapes[number].len().max(shapes[number + 1].len()) as u64;
            if weights.max(neurons) > LARGEST_LAYER {
                let message =
                    format!("expected at most {LARGEST_LAYER} weights and neurons, found {weights} and {neurons}");
                return Err(wrong(self.place(number), message));
            }
        }
        if !(self.input.scale.is_finite() && self.input.scale > 0.0) {
            return Err(wrong("[input]", format!("scale: expected a positive number, found {}", self.input.scale)));
        }
        let mut learns_by_reward = None;
        for (number, layer) in self.layers.iter().enumerate() {
            let place = self.place(number);
            let Layer::Convolution(layer) = layer else { continue };
            if let Some(found) = layer.threshold.filter(|threshold| !(threshold.is_finite() && *threshold >= 0.0)) {
                return Err(wrong(&place, format!("threshold: expected at least 0, found {found}")));
            }
            if !(layer.weight_mean.is_finite() && layer.weight_std.is_finite() && layer.weight_std >= 0.0) {
                return Err(wrong(
                    &place,
                    format!(
                        "weight_mean and weight_std: expected numbers, the deviation at least 0, found {} and {}",
                        layer.weight_mean, layer.weight_std
                    ),
                ));
            }
            let (rates, bounds) = match &layer.learning {
                None => continue,
                Some(Learning::Stdp(learning)) => {
                    if learning.kwta == 0 {
                        return Err(wrong(&place, "kwta: expected at least 1, found 0"));
                    }
                    if layer.threshold.is_none() && learning.pointwise_inhibition {
                        return Err(wrong(&place, "pointwise_inhibition needs a threshold"));
                    }
                    if let Some(schedule) = learning.schedule
                        && (schedule.every == 0
                            || ![schedule.factor, schedule.maximum, schedule.ratio].iter().all(|x| x.is_finite()))
                    {
                        return Err(wrong(&place, "schedule: expected `every` of at least 1 and finite numbers"));
                    }
                    if let LearningRates::Each(pairs) = &learning.learning_rate {
                        if pairs.len() != layer.maps {
                            let (expected, found) = (layer.maps, pairs.len());
                            let message =
                                format!("learning_rate: expected {expected} pairs, one per map, found {found}");
                            return Err(wrong(&place, message));
                        }
                        if learning.schedule.is_some() {
                            let message = "schedule: expected one pair of rates for all maps, found one for each";
                            return Err(wrong(&place, message));
                        }
                    }
                    (learning.learning_rate.pairs().concat(), (learning.lower_bound, learning.upper_bound))
                }
                Some(Learning::Rstdp(learning)) => {
                    learns_by_reward = Some(number);
                    if !(0.0..1.0).contains(&learning.dropout) {
                        let found = learning.dropout;
                        return Err(wrong(&place, format!("dropout: expected 0 to below 1, found {found}")));
                    }
                    if learning.batch == Some(0) {
                        return Err(wrong(&place, "batch: expected at least 1, found 0"));
                    }
                    let all = [learning.reward, learning.punish, [learning.minimum, learning.gain]].concat();
                    (all, (learning.lower_bound, learning.upper_bound))
                }
            };
            if !rates.iter().all(|rate| rate.is_finite()) {
                return Err(wrong(&place, "learning: expected finite rates"));
            }
            if !(bounds.0.is_finite() && bounds.1.is_finite() && bounds.0 <= bounds.1) {
                let (lower, upper) = bounds;
                return Err(wrong(&place, format!("bounds: expected lower <= upper, found {lower} and {upper}")));
            }
        }
        let last = self.layers.len().wrapping_sub(1);
        let classes = match &self.readout {
            Some(Readout::Winner { maps_per_class }) => {
                let maps = shapes.last().map_or(0, |shape| shape.maps());
                if !matches!(self.layers.last(), Some(Layer::Convolution(_))) {
                    return Err(wrong("[readout]", "winner: the last layer must be a convolution"));
                }
                if *maps_per_class == 0 || maps % maps_per_class != 0 {
                    return Err(wrong(
                        "[readout]",
                        format!("maps_per_class: expected a divisor of {maps} maps, found {maps_per_class}"),
                    ));
                }
                true
            }
            Some(Readout::Linear { c }) if !(c.is_finite() && *c > 0.0) => {
                return Err(wrong("[readout]", format!("c: expected a positive number, found {c}")));
            }
            _ => false,
        };
        match learns_by_reward {
            Some(number) if !(classes && number == last) => Err(wrong(
                self.place(number),
                "rstdp: needs to be the last layer's rule, under a [readout] of type \"winner\"",
            )),
            _ => Ok(()),
        }
    }

    /// How a layer is called in messages and files: `layer 1`, counted from 1.
    pub fn place(&self, layer: usize) -> String {
        format!("layer {}", layer + 1)
    }

    /// Number of classes of a winner read-out.
    pub fn classes(&self) -> Option<usize> {
        match (&self.readout, self.layers.last()) {
            (Some(Readout::Winner { maps_per_class }), Some(Layer::Convolution(layer))) => {
                Some(layer.maps / maps_per_class)
            }
            _ => None,
        }
    }

    /// Size of the encoded image, then of each layer.
    ///
    /// # Errors
    /// Whatever does not fit, with the layer.
    pub fn shapes(&self) -> Result<Vec<Shape>, Error> {
        let mut shapes = vec![Encoder::new(self)?.shape()];
        for (number, layer) in self.layers.iter().enumerate() {
            let input = shapes[number];
            let shape = match layer {
                Layer::PointwiseInhibition(_) => Ok(input),
                Layer::Pooling(pooling) => pooling.output_shape(input),
                Layer::Convolution(layer) => layer.output_shape(input),
            };
            shapes.push(shape.map_err(|error| wrong(self.place(number), error.to_string()))?);
        }
        Ok(shapes)
    }
}

impl ConvolutionLayer {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let places = super::shape::places;
        Shape::new(self.maps, self.kernel_size.rows, self.kernel_size.columns)?;
        Shape::new(self.maps, self.stride.rows, self.stride.columns)?;
        let (kernel, stride, padding) = (self.kernel_size, self.stride, self.padding);
        let height = places(input.height(), kernel.rows, stride.rows, padding.rows);
        let width = places(input.width(), kernel.columns, stride.columns, padding.columns);
        let (height, width) = height.zip(width).ok_or(Error::Window {
            what: "convolution",
            window: kernel,
            height: input.height(),
            width: input.width(),
            padding,
        })?;
        Shape::new(self.maps, height, width)
    }
}
