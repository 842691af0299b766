//! Spike trains in NIR's form of data, which `nir.read_data` of package `nir` reads from version 1.0.5 on.

use super::hdf5::File;
use megasim_ann::nir::SpikeTrains;

/// Spikes that are no one's: what fills the rows of samples with fewer spikes than others.
const NONE: (i64, f64) = (-1, f64::INFINITY);

/// A file with the observable `spikes` of these nodes: `EventData`, or `ValuedEventData` where some spikes are
/// negative.
///
/// # Errors
/// If nodes have the same name.
pub fn spike_trains<'n>(nodes: impl IntoIterator<Item = (&'n str, &'n SpikeTrains)>) -> Result<Vec<u8>, String> {
    let mut file = File::default();
    file.text_attribute("", "__type__", "NIRGraphData")?;
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
        let shape = [samples.len(), most];
        let node = format!("nodes/{name}");
        let spikes = format!("{node}/observables/spikes");
        file.text_attribute(&node, "__type__", "NIRNodeData")?;
        file.text_attribute(&spikes, "__type__", if is_signed { "ValuedEventData" } else { "EventData" })?;
        file.attribute(&spikes, "n_neurons", *neurons as i64)?;
        file.attribute(&spikes, "t_max", *duration)?;
        file.numbers(format!("{spikes}/idx"), &shape, &idx)?;
        file.numbers(format!("{spikes}/time"), &shape, &time)?;
        if is_signed {
            file.numbers(format!("{spikes}/value"), &shape, &value)?;
        }
    }
    file.finish()
}
