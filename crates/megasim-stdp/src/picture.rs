//! Maps as one picture: SVG tiles in grey, nothing but text.

use ndarray::{ArrayView3, Axis};
use std::fmt::Write;

/// Pixels on a side of each cell of a map.
const CELL: usize = 4;
/// Pixels between maps.
const GAP: usize = 6;

/// A grid of maps, axes (map, row, column), as an SVG text. Each map is scaled between its own least value (black) and
/// its largest (white); a constant map is black. The number of each map is its title.
///
/// ```
/// let svg = megasim_stdp::maps_as_svg(ndarray::array![[[0.0, 1.0]], [[0.5, 0.25]]].view());
/// assert!(svg.starts_with("<svg") && svg.contains("<title>map 1</title>"));
/// ```
pub fn maps_as_svg(maps: ArrayView3<f32>) -> String {
    let (count, height, width) = maps.dim();
    let across = (1..=count).find(|across| across * across >= count).unwrap_or(1);
    let down = count.div_ceil(across);
    let (step_x, step_y) = (width * CELL + GAP, height * CELL + GAP);
    let (total_x, total_y) = (across * step_x + GAP, down * step_y + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {total_x} {total_y}\" width=\"{total_x}\" \
         height=\"{total_y}\" shape-rendering=\"crispEdges\">\n<rect width=\"100%\" height=\"100%\" fill=\"#456\"/>\n"
    );
    for (number, map) in maps.axis_iter(Axis(0)).enumerate() {
        let finite = || map.iter().copied().filter(|value| value.is_finite());
        let (least, largest) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
        let (x, y) = (number % across * step_x + GAP, number / across * step_y + GAP);
        // Writing to a string cannot fail.
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\"><title>map {number}</title>");
        let _ = writeln!(svg, "<rect width=\"{}\" height=\"{}\"/>", width * CELL, height * CELL);
        for ((row, column), &value) in map.indexed_iter() {
            let grey = (255.0 * (value - least) / (largest - least)) as u8;
            if grey > 0 {
                let (x, y) = (column * CELL, row * CELL);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" \
                        fill=\"#{grey:02x}{grey:02x}{grey:02x}\"/>"
                );
            }
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}
