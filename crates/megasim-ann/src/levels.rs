//! Quantised activations that a file spells out: `clip`, `floor` or `round`, and factors around them, become one
//! activation with [`Levels`].
//!
//! With `u = clip(a x + b, lo, hi)` before the floor and `y = c floor(u) + d` behind it, the steps are `1 / a` and
//! `y = c a q + d` with `q = 1/a clip(floor(a x + b), floor(lo), floor(hi))`.

use crate::graph::{Activation, Graph, Layer, LayerId, Levels, Operation, Rounding};
use std::collections::{HashMap, HashSet};

/// How far from 1 a factor, and from 0 or a whole number a shift, may be through rounding.
const CLOSE: f64 = 1e-5;

/// What a layer does with each number, where it does the same with all.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Affine(f64, f64),
    Clip(f64, f64),
    Floor,
    Round,
    Quantized(Levels),
}

fn step_of(operation: &Operation) -> Option<Step> {
    match operation {
        Operation::TrainingOnly { .. } | Operation::Activation(Activation::Linear) => Some(Step::Affine(1.0, 0.0)),
        Operation::Activation(
            Activation::Relu { negative_slope: 0.0, max } | Activation::ClampedRelu { threshold: 0.0, max },
        ) => Some(Step::Clip(0.0, max.map_or(f64::INFINITY, f64::from))),
        Operation::Activation(Activation::Floor) => Some(Step::Floor),
        Operation::Activation(Activation::Round) => Some(Step::Round),
        Operation::Activation(Activation::Quantized(levels)) => Some(Step::Quantized(*levels)),
        Operation::BatchNormalization { gamma, beta, mean, variance, epsilon } => {
            let alike = |values: &ndarray::Array1<f32>| values.iter().all(|value| Some(value) == values.first());
            let one = |values: &ndarray::Array1<f32>| values.first().map(|&value| f64::from(value));
            if ![gamma, beta, mean, variance].into_iter().all(alike) {
                return None;
            }
            let factor = one(gamma)? / (one(variance)? + f64::from(*epsilon)).sqrt();
            Some(Step::Affine(factor, one(beta)? - one(mean)? * factor))
        }
        _ => None,
    }
}

/// Layers that are one quantised activation, perhaps with a factor and a shift behind it.
#[derive(Debug)]
struct Chain {
    /// From the first to the last.
    layers: Vec<LayerId>,
    levels: Levels,
    affine: Option<(f64, f64)>,
}

/// `clip(a x + b, lo, hi)`.
#[derive(Debug, Clone, Copy)]
struct Clipped {
    a: f64,
    b: f64,
    lo: f64,
    hi: f64,
}

impl Clipped {
    const IDENTITY: Self = Self { a: 1.0, b: 0.0, lo: f64::NEG_INFINITY, hi: f64::INFINITY };

    fn then(self, step: Step) -> Option<Self> {
        let Self { a, b, lo, hi } = self;
        match step {
            Step::Affine(c, d) if c > 0.0 => Some(Self { a: c * a, b: c * b + d, lo: c * lo + d, hi: c * hi + d }),
            Step::Clip(low, high) if low <= high => {
                Some(Self { lo: lo.clamp(low, high), hi: hi.clamp(low, high), ..self })
            }
            _ => None,
        }
    }
}

/// `c k + d` of levels `k` from `lowest` to `highest`.
#[derive(Debug, Clone, Copy)]
struct Behind {
    lowest: f64,
    highest: f64,
    c: f64,
    d: f64,
}

impl Behind {
    fn then(self, step: Step) -> Option<Self> {
        let Self { lowest, highest, c, d } = self;
        match step {
            Step::Affine(e, f) if e > 0.0 => Some(Self { c: e * c, d: e * d + f, ..self }),
            Step::Clip(low, high) if low <= high => {
                let level = |bound: f64| {
                    let level = (bound - d) / c;
                    if level.is_infinite() {
                        return Some(level);
                    }
                    Some(level.round()).filter(|whole| (whole - level).abs() < CLOSE * level.abs().max(1.0))
                };
                let (low, high) = (level(low)?, level(high)?);
                Some(Self { lowest: lowest.clamp(low, high), highest: highest.clamp(low, high), ..self })
            }
            _ => None,
        }
    }
}

/// The activation of a chain around its rounding, and a factor and a shift behind it where there are any.
fn activation(before: &[Step], core: Step, behind: &[Step]) -> Option<(Levels, Option<(f64, f64)>)> {
    let u = before.iter().try_fold(Clipped::IDENTITY, |u, &step| u.then(step))?;
    let (step, rounding, lowest, highest, c) = match core {
        Step::Round if u.b.abs() < CLOSE => {
            (u.a.recip(), Rounding::Nearest, u.lo.round_ties_even(), u.hi.round_ties_even(), 1.0)
        }
        Step::Floor if u.b > -CLOSE && u.b < 1.0 - CLOSE => {
            (u.a.recip(), Rounding::Floor(u.b.max(0.0) as f32), u.lo.floor(), u.hi.floor(), 1.0)
        }
        Step::Quantized(levels) if (u.a, u.b) == (1.0, 0.0) => {
            let level = |bound: f64, all: i64| if bound.is_infinite() { all } else { levels.level(bound as f32) };
            let (lowest, highest) = (level(u.lo, levels.lowest), level(u.hi, levels.highest));
            (levels.step.into(), levels.rounding, lowest as f64, highest as f64, levels.step.into())
        }
        _ => return None,
    };
    let behind = behind.iter().try_fold(Behind { lowest, highest, c, d: 0.0 }, |it, &step| it.then(step))?;
    let Behind { lowest, highest, c, d } = behind;
    let fits = |level: f64| level.abs() <= f64::from(i32::MAX);
    if !fits(lowest) || !fits(highest) || lowest >= highest {
        return None;
    }
    let levels = Levels { step: step as f32, lowest: lowest as i64, highest: highest as i64, rounding };
    let factor = c / step;
    let is_one = (factor - 1.0).abs() < CLOSE && d.abs() < CLOSE * c;
    Some((levels, Some((factor, d)).filter(|_| !is_one)))
}

/// The longest chain around a layer that rounds; none where there is nothing to bring together.
fn chain(graph: &Graph, readers: &[Vec<LayerId>], core: LayerId) -> Option<Chain> {
    let layers = graph.layers();
    let step = |id: LayerId| step_of(&layers[id].operation);
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    let mut at = core;
    while let [input] = layers[at].inputs[..]
        && readers[input].len() == 1
        && let Some(it) = step(input).filter(|it| matches!(it, Step::Affine(..) | Step::Clip(..)))
    {
        before.insert(0, (input, it));
        at = input;
    }
    at = core;
    while let [reader] = readers[at][..]
        && let Some(it) = step(reader).filter(|it| matches!(it, Step::Affine(..) | Step::Clip(..)))
    {
        behind.push((reader, it));
        at = reader;
    }
    let steps = |of: &[(LayerId, Step)]| of.iter().map(|&(_, step)| step).collect::<Vec<_>>();
    let whole = step(core)?;
    let mut found: Option<Chain> = None;
    for first in 0..=before.len() {
        for last in (0..=behind.len()).rev() {
            let Some((levels, affine)) = activation(&steps(&before[first..]), whole, &steps(&behind[..last])) else {
                continue;
            };
            let ids = before[first..].iter().map(|&(id, _)| id).chain([core]);
            let ids = ids.chain(behind[..last].iter().map(|&(id, _)| id)).collect();
            // Without a factor behind it, it is an activation and nothing else.
            if affine.is_none() {
                found = Some(Chain { layers: ids, levels, affine });
                break;
            }
            if found.is_none() {
                found = Some(Chain { layers: ids, levels, affine });
            }
        }
        if found.is_some() {
            break;
        }
    }
    // What is one activation already stays as it is.
    found.filter(|chain| chain.layers.len() > 1 || !matches!(whole, Step::Quantized(_)))
}

/// Makes one activation of each chain of layers that is one.
pub(crate) fn fuse(graph: Graph) -> Graph {
    let rounds = |layer: &Layer| {
        use Activation::{Floor, Quantized, Round};
        matches!(layer.operation, Operation::Activation(Floor | Round | Quantized(_)))
    };
    if !graph.layers().iter().any(rounds) {
        return graph;
    }
    let readers = graph.readers();
    let mut taken: HashSet<LayerId> = HashSet::new();
    let mut by_last: HashMap<LayerId, Chain> = HashMap::new();
    for core in (0..graph.layers().len()).filter(|&id| rounds(&graph.layers()[id])) {
        if let Some(chain) = chain(&graph, &readers, core)
            && chain.layers.iter().all(|id| !taken.contains(id))
            && let Some(&last) = chain.layers.last()
        {
            taken.extend(&chain.layers);
            by_last.insert(last, chain);
        }
    }
    let mut moved = vec![0; graph.layers().len()];
    let mut layers: Vec<Layer> = Vec::with_capacity(graph.layers().len());
    for (id, layer) in graph.layers().iter().enumerate() {
        let mut layer = layer.clone();
        layer.inputs.iter_mut().for_each(|input| *input = moved[*input]);
        if let Some(Chain { layers: chain, levels, affine }) = by_last.get(&id) {
            let inputs: Vec<_> = graph.layers()[chain[0]].inputs.iter().map(|&input| moved[input]).collect();
            let operation = Operation::Activation(Activation::Quantized(*levels));
            let name = if affine.is_some() { format!("{}_levels", layer.name) } else { layer.name.clone() };
            layers.push(Layer { name, kind: "Activation".into(), operation, inputs, shape: layer.shape });
            if let &Some((factor, shift)) = affine {
                let channels = layer.shape.channels();
                layer.operation = Operation::scale_and_shift(channels, factor as f32, shift as f32);
                (layer.kind, layer.inputs) = ("BatchNormalization".into(), vec![layers.len() - 1]);
                layers.push(layer);
            }
        } else if taken.contains(&id) {
            // Read by the chain alone.
            continue;
        } else {
            layers.push(layer);
        }
        moved[id] = layers.len() - 1;
    }
    Graph::new(layers).unwrap_or(graph)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::forward;
    use crate::graph::{GraphBuilder, Shape};
    use ndarray::Array2;

    fn graph(operations: Vec<Operation>) -> Graph {
        let mut builder = GraphBuilder::new("input", Shape::Features(1));
        for (k, operation) in operations.into_iter().enumerate() {
            builder.add(format!("layer{k}"), "Layer", operation, &[k]).unwrap();
        }
        builder.finish().unwrap()
    }

    fn affine(factor: f32, shift: f32) -> Operation {
        Operation::scale_and_shift(1, factor, shift)
    }

    fn of(activation: Activation) -> Operation {
        Operation::Activation(activation)
    }

    fn clip(max: f32) -> Operation {
        of(Activation::Relu { negative_slope: 0.0, max: Some(max) })
    }

    /// The same numbers before and after, and the operations after.
    fn fused(operations: Vec<Operation>) -> Vec<Operation> {
        let graph = graph(operations);
        // Away from the middles between levels, where rounding of the factors decides.
        let x = Array2::from_shape_fn((401, 1), |(k, _)| (k as f32 - 200.0) * 0.013 + 0.0007);
        let before = forward(&graph, x.view()).unwrap();
        let fused = fuse(graph);
        let after = forward(&fused, x.view()).unwrap();
        before.iter().zip(&after).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
        fused.into_layers().into_iter().skip(1).map(|layer| layer.operation).collect()
    }

    fn quantized(step: f32, lowest: i64, highest: i64, rounding: Rounding) -> Operation {
        of(Activation::Quantized(Levels { step, lowest, highest, rounding }))
    }

    #[test]
    fn clip_floor_graphs_become_levels() {
        // T. Bu et al., "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural networks",
        // ICLR 2022: `x / theta`, clipped at 1, times L, plus 1/2, floor, over L, times theta.
        let qcfs = vec![
            affine(0.5, 0.0),
            clip(1.0),
            affine(8.0, 0.0),
            affine(1.0, 0.5),
            of(Activation::Floor),
            affine(0.125, 0.0),
            affine(2.0, 0.0),
        ];
        assert_eq!(fused(qcfs), [quantized(0.25, 0, 8, Rounding::Floor(0.5))]);
        let lsq = vec![affine(10.0, 0.0), clip(15.0), of(Activation::Round), affine(0.1, 0.0)];
        let found = fused(lsq);
        let [Operation::Activation(Activation::Quantized(levels))] = found[..] else { panic!("{found:?}") };
        assert_eq!((levels.lowest, levels.highest, levels.rounding), (0, 15, Rounding::Nearest));
        assert!((levels.step - 0.1).abs() < 1e-6);
    }

    #[test]
    fn a_rectifier_next_to_levels_takes_those_below_0() {
        let relu = of(Activation::RELU);
        let int8 = quantized(0.1, -128, 127, Rounding::Nearest);
        let expected = [quantized(0.1, 0, 127, Rounding::Nearest)];
        assert_eq!(fused(vec![relu.clone(), int8.clone()]), expected);
        assert_eq!(fused(vec![int8.clone(), relu]), expected);
        assert_eq!(fused(vec![int8.clone()]), [int8]);
    }

    #[test]
    fn factors_that_do_not_cancel_stay_behind_the_levels() {
        let found = fused(vec![clip(2.0), affine(4.0, 0.0), of(Activation::Floor), affine(0.5, 1.0)]);
        assert_eq!(found[0], quantized(0.25, 0, 8, Rounding::Floor(0.0)));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn what_is_no_activation_with_levels_stays() {
        let floor = vec![of(Activation::Floor)];
        assert_eq!(fused(floor.clone()), floor);
        let odd = vec![clip(2.0), affine(-4.0, 0.0), of(Activation::Floor)];
        assert_eq!(fused(odd.clone()), odd);
    }
}
