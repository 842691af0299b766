//! Spike trains in NIR's form of data, which `nir.read_data` of package `nir` reads from version 1.0.5 on.

use hdf5_pure::{AttrValue, FileBuilder};
use megasim_ann::nir::SpikeTrains;

/// Spikes that are no one's: what fills the rows of samples with fewer spikes than others.
const NONE: (i64, f64) = (-1, f64::INFINITY);

/// A file with the observable `spikes` of these nodes: `EventData`, or `ValuedEventData` where some spikes are
/// negative.
///
/// # Errors
/// If nodes have the same name.
pub fn spike_trains<'n>(nodes: impl IntoIterator<Item = (&'n str, &'n SpikeTrains)>) -> Result<Vec<u8>, String> {
    let text = |text: &str| AttrValue::VarLenString(text.into());
    let mut file = FileBuilder::new();
    file.set_attr("__type__", text("NIRGraphData"));
    let mut all = file.create_group("nodes");
    for (name, trains) in nodes {
        let SpikeTrains { neurons, duration, samples, .. } = trains;
        let most = samples.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let (mut idx, mut time, mut value) = (Vec::new(), Vec::new(), Vec::new());
        for sample in samples {
            let end = idx.len() + most;
            for spike in sample {
                idx.push(spike.neuron as i64);
                time.push(spike.time);
                value.push(if spike.negative { -1.0 } else { 1.0 });
            }
            idx.resize(end, NONE.0);
            time.resize(end, NONE.1);
            value.resize(end, 0.0);
        }
        let is_signed = samples.iter().flatten().any(|spike| spike.negative);
        let shape = [samples.len() as u64, most as u64];
        let mut node = all.create_group(name);
        node.set_attr("__type__", text("NIRNodeData"));
        let mut observables = node.create_group("observables");
        let mut spikes = observables.create_group("spikes");
        spikes.set_attr("__type__", text(if is_signed { "ValuedEventData" } else { "EventData" }));
        spikes.set_attr("n_neurons", AttrValue::I64(*neurons as i64));
        spikes.set_attr("t_max", AttrValue::F64(*duration));
        spikes.create_dataset("idx").with_i64_data(&idx).with_shape(&shape);
        spikes.create_dataset("time").with_f64_data(&time).with_shape(&shape);
        if is_signed {
            spikes.create_dataset("value").with_f64_data(&value).with_shape(&shape);
        }
        observables.add_group(spikes.finish());
        node.add_group(observables.finish());
        all.add_group(node.finish());
    }
    file.add_group(all.finish());
    file.finish().map_err(|error| error.to_string())
}
