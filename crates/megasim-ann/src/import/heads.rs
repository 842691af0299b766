//! Outputs that classes are decided by in other ways than by the largest number.

use crate::graph::{Activation, AxisOrder, Graph, GraphBuilder, Layer, Operation, Shape};
use ndarray::{Array1, array};

/// A network of one sigmoid output as one of two classes: class 1 where the sigmoid is above 1/2.
///
/// `softmax(-z/2, z/2) = (1 - sigmoid(z), sigmoid(z))`, so the two outputs are the probabilities of the classes.
pub(super) fn classes(graph: Graph) -> Graph {
    two_classes(&graph).unwrap_or(graph)
}

fn two_classes(graph: &Graph) -> Option<Graph> {
    let layers = graph.layers();
    // Behind the sigmoid only what changes nothing.
    let idle = |layer: &&Layer| matches!(layer.operation, Operation::Flatten { .. } | Operation::Reshape { .. });
    let behind = layers.iter().rev().take_while(idle).count();
    let sigmoid = layers.len().checked_sub(behind + 1)?;
    if layers[sigmoid].operation != Operation::Activation(Activation::Sigmoid) || layers[sigmoid].shape.len() != 1 {
        return None;
    }
    let mut rest = layers[1..sigmoid].iter();
    let mut builder = GraphBuilder::new(layers[0].name.clone(), layers[0].shape);
    rest.try_for_each(|layer| {
        let Layer { name, kind, operation, inputs, shape } = layer.clone();
        builder.add_shaped(name, kind, operation, &inputs, shape).ok().map(|_| ())
    })?;
    let &[mut logit] = &layers[sigmoid].inputs[..] else { return None };
    let both = |row: Array1<f32>| {
        ndarray::stack![ndarray::Axis(1), row.mapv(|weight| -weight / 2.0), row.mapv(|weight| weight / 2.0)]
    };
    let Layer { name, kind, .. } = &layers[sigmoid];
    let mut last = builder.clone();
    let added = match &layers[logit] {
        Layer { name, kind, operation: Operation::Dense { weights, bias }, inputs, .. } if logit + 1 == sigmoid => {
            let weights = both(weights.column(0).to_owned());
            let bias = bias.as_ref().map(|bias| array![-bias[0] / 2.0, bias[0] / 2.0]);
            last = GraphBuilder::new(layers[0].name.clone(), layers[0].shape);
            for layer in &layers[1..logit] {
                let Layer { name, kind, operation, inputs, shape } = layer.clone();
                last.add_shaped(name, kind, operation, &inputs, shape).ok()?;
            }
            last.add(name.clone(), kind.clone(), Operation::Dense { weights, bias }, inputs).ok()?
        }
        _ => {
            if let Shape::Maps { .. } = layers[logit].shape {
                let order = AxisOrder::ChannelsFirst;
                let free = last.free_name("flatten");
                logit = last.add(free, "Flatten", Operation::Flatten { order }, &[logit]).ok()?;
            }
            let (weights, free) = (array![[-0.5, 0.5]], last.free_name(&format!("{name}_logits")));
            last.add(free, "Dense", Operation::Dense { weights, bias: None }, &[logit]).ok()?
        }
    };
    last.add(name.clone(), kind.clone(), Operation::Activation(Activation::Softmax), &[added]).ok()?;
    last.finish().ok()
}
