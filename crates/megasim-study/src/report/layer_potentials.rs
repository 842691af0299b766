//! Membrane potentials of whole layers: all neurons over time, and the maps of a layer at several times.

use super::chart::{self, Extent, Panel};
use super::comparison::file;
use super::{Error, Section};
use crate::classification::LayerRecording;

/// Cells of a picture; where there are more, blocks become their means.
const MOST_CELLS: usize = 12_000;

/// Times at which the maps of a layer are shown.
const TIMES: usize = 6;

/// The first sample of recordings with potentials, in thresholds; layers without are left out. `of` names the sample
/// and the mode.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn section(recordings: &[LayerRecording], of: &str) -> Result<Section, Error> {
    let mut section = Section { title: "Membrane potentials of layers".into(), ..Section::default() };
    for layer in recordings {
        let (Some(potentials), Some(threshold)) = (&layer.potentials, layer.threshold) else { continue };
        let (samples, steps, neurons) = potentials.dim();
        if samples == 0 || steps == 0 || neurons == 0 {
            continue;
        }
        let scale = 1.0 / f64::from(threshold.max(1));
        let at = |ms: usize, neuron: usize| f64::from(potentials[(0, ms, neuron)]) * scale;
        // A row alone would be folded into a square.
        let rows = neurons.max(2);
        let values = (0..rows).flat_map(|row| (0..steps).map(move |ms| at(ms, row.min(neurons - 1)))).collect();
        let name = format!("potential in thresholds, a row is a neuron, from 0 to {steps} ms");
        let title = format!("Membrane potentials of {}", layer.name);
        let extent = Extent { maps: 1, ny: rows, nx: steps };
        let panel = Panel { name, values, range: None };
        let over_time =
            chart::grids(&format!("potentials-{}", file(&layer.name)), &title, extent, &[panel], MOST_CELLS)?;
        section.pictures.push(over_time.with_caption(format!("{of}, after each millisecond.")));
        let [maps, ny, nx] = layer.shape;
        if ny < 2 || maps * ny * nx != neurons {
            continue;
        }
        let all = || (0..steps).flat_map(|ms| (0..neurons).map(move |neuron| at(ms, neuron)));
        let range = Some((all().fold(0.0, f64::min), all().fold(0.0, f64::max)));
        let times = (1..=TIMES.min(steps)).map(|k| k * steps / TIMES.min(steps) - 1);
        let panels: Vec<Panel> = times
            .map(|ms| Panel {
                name: format!("{} ms", ms + 1),
                values: (0..neurons).map(|neuron| at(ms, neuron)).collect(),
                range,
            })
            .collect();
        let title = format!("Membrane potentials of {} as maps", layer.name);
        let extent = Extent { maps, ny, nx };
        let picture =
            chart::grids(&format!("potential-maps-{}", file(&layer.name)), &title, extent, &panels, MOST_CELLS)?;
        section.pictures.push(picture.with_caption(format!("{of}, in thresholds.")));
    }
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn layer(name: &str, shape: [usize; 3], potentials: Option<Array3<i32>>) -> LayerRecording {
        let threshold = potentials.is_some().then_some(1000);
        LayerRecording { name: name.into(), shape, threshold, potentials, ..LayerRecording::default() }
    }

    #[test]
    fn potentials_are_drawn_in_thresholds() {
        let maps = Array3::from_shape_fn((1, 4, 8), |(_, ms, neuron)| 1000 * (10 * ms as i32 + neuron as i32));
        let dense = Array3::from_shape_fn((1, 4, 3), |(_, ms, neuron)| -500 * (ms as i32 + neuron as i32));
        let layers = [
            layer("maps", [2, 2, 2], Some(maps)),
            layer("04Flatten", [1, 1, 8], None),
            layer("dense", [1, 1, 3], Some(dense)),
        ];
        let section = section(&layers, "sample 3, event mode").unwrap();
        let files: Vec<&str> = section.pictures.iter().map(|picture| &picture.file[..]).collect();
        assert_eq!(files, ["potentials-maps", "potential-maps-maps", "potentials-dense"]);
        // Each number of the picture: 8 neurons by 4 ms.
        let numbers = |k: usize| -> Vec<f64> {
            let table = &section.pictures[k].table;
            table.rows.iter().filter_map(|row| row.last()?.parse().ok()).collect()
        };
        assert_eq!(numbers(0)[..5], [0.0, 10.0, 20.0, 30.0, 1.0]);
        assert_eq!(numbers(2)[..5], [0.0, -0.5, -1.0, -1.5, -0.5]);
        // At 1, 2, 3 and 4 ms, with one scale.
        assert!(section.pictures[1].svg.contains("4 ms") && section.pictures[1].svg.contains("37"));
        assert!(section.pictures[1].caption.contains("sample 3"));
    }
}
