//! Single-spike networks and learning: at most one spike per neuron and stimulus, features learned by STDP.
//!
//! The semantics are those of SpykeTorch, event by event. An image goes through a [`Filter`] (difference of Gaussians
//! or Gabor), normalisation and lateral inhibition, and [`Intensity2Latency`] ranks what is left into time bins: a
//! [`SpikeWave`]. From there on only spikes cost work: a [`Convolution`] adds the weights of each spike to the neurons
//! it reaches, and at the end of each bin that holds spikes tests them; [`Pooling`] passes the earliest spike of a
//! window; [`pointwise_inhibition`] and [`get_k_winners`] choose who learns, and [`Stdp`] or [`RewardStdp`] change the
//! winners' weights.
//!
//! All events of a bin are simultaneous: what a layer's neurons hold at the end of the bin decides, and what fires
//! reaches the next layer in the same bin. With weights that are not negative the bins of all spikes are those of
//! SpykeTorch; potentials may differ in the last bits of float32, since they are summed in another order.
//!
//! ```
//! use megasim_stdp::{get_k_winners, pointwise_inhibition, Convolution, DoGKernel, Filter, Intensity2Latency, Stdp};
//! use rand::SeedableRng;
//! let image = ndarray::Array2::from_shape_fn((12, 12), |(row, column)| if row + column < 12 { 255.0 } else { 0.0 });
//! let on = DoGKernel { window_size: 5, sigma1: 1.0, sigma2: 2.0 };
//! let filter = Filter::new(&[on.into()])?.padding(2).threshold(10.0);
//! let wave = Intensity2Latency::new(4)?.transform(filter.apply(image.view())?.view())?;
//!
//! let mut random = rand::rngs::ChaCha8Rng::seed_from_u64(1);
//! let mut layer = Convolution::<f32>::new(1, 8, 3, 0.8, 0.05, &mut random)?;
//! let spikes = pointwise_inhibition(&layer.fire(&wave, Some(2.0))?);
//! let winners = get_k_winners(&spikes, 3, 1);
//! Stdp::new(0.004, -0.003).update(&mut layer, &wave, &winners)?;
//! # Ok::<(), megasim_stdp::Error>(())
//! ```

mod convolution;
mod description;
mod encoder;
mod error;
mod feature;
mod filter;
mod inhibition;
mod intensity;
mod kernel;
mod latency;
mod linear;
mod netlist;
mod network;
mod picture;
mod place;
mod pooling;
mod positions;
mod shape;
mod stdp;
mod store;
mod tensor;
mod train;
mod wave;
mod weight;
mod winners;

pub use convolution::{Competition, Convolution};
pub use description::{
    ConvolutionLayer, Description, Encoding, InhibitionFactors, Input, Layer, Learning, LearningRates, OneOrEach,
    PointwiseLayer, Readout, RewardLearning, Schedule, StdpLearning,
};
pub use encoder::Encoder;
pub use error::Error;
pub use feature::{DeepFeature, deep_receptive_field, tensor_to_text, text_to_tensor};
pub use filter::Filter;
pub use inhibition::{feature_inhibition, pointwise_inhibition};
pub use intensity::{LateralIntensityInhibition, Padding, generate_inhibition_kernel, local_normalization, pad};
pub use kernel::{DoGKernel, FilterKernel, GaborKernel};
pub use latency::{Intensity2Latency, TimeSteps, TooFew};
pub use linear::LinearClassifier;
pub use netlist::{RESET_NODE, to_netlist, to_stimuli};
pub use network::{Evaluator, Phase, SpikingNetwork};
pub use picture::maps_as_svg;
pub use pooling::Pooling;
pub use shape::{Pair, Shape};
pub use stdp::{Outcome, Rates, RewardStdp, Stdp, Tally};
pub use store::{AnyNetwork, Model};
pub use tensor::{fire, threshold};
pub use train::{PassLog, Progress, Stimuli, Trainer};
pub use wave::{Spike, SpikeWave};
pub use weight::{Block, Fixed, Weight};
pub use winners::{Winner, get_k_winners};
