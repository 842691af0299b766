//! Membrane potentials of several neurons one above the other, each on its own axis, with their spikes.

use super::raster::tenth;
use super::{Axes, Picture, Table};
use crate::report::Error;
use crate::report::picture::number;
use maud::html;
use std::fmt::Write;

/// The potential of one neuron.
#[derive(Debug, Clone, Default)]
pub struct Potential {
    /// Name of its layer.
    pub layer: String,
    /// Which neuron of the layer.
    pub neuron: String,
    /// Time, and potential from then on in thresholds.
    pub points: Vec<(f64, f64)>,
    /// Times of its spikes.
    pub spikes: Vec<f64>,
}

const WIDE: usize = 1100;
const LEFT: usize = 230;
const RIGHT: usize = 24;
const TOP: usize = 8;

/// Height of a panel, with the gap below it.
const EACH: usize = 78;

/// Room for spikes at the top of a panel.
const SPIKES: usize = 12;

/// Pixels of time of which the first, the least, the greatest and the last potential are drawn.
const COLUMN: f64 = 2.0;

/// Potentials up to a time, one panel a neuron: the threshold is dashed, spikes are marked above.
///
/// # Errors
/// None so far.
pub fn potentials(of: &Axes, end: f64, potentials: &[Potential]) -> Result<Picture, Error> {
    let end = end.max(1e-9);
    let (width, height) = (WIDE - LEFT - RIGHT, EACH - 14);
    let bottom = TOP + EACH * potentials.len();
    let tall = bottom + 46;
    let across = |time: f64| time / end * width as f64;
    let drawn: Vec<Drawn> = potentials.iter().map(|it| Drawn::new(it, end, width as f64, height)).collect();
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(WIDE) height=(tall) viewBox={ "0 0 " (WIDE) " " (tall) }
            font-family="sans-serif" font-size="13" {
            rect width=(WIDE) height=(tall) fill="#fff" {}
            @for (k, (one, drawn)) in potentials.iter().zip(&drawn).enumerate() {
                @let top = TOP + k * EACH;
                text x="0" y=(top + 30) font-weight="bold" {
                    title { (one.layer) " " (one.neuron) }
                    (super::cut(&one.layer, 25))
                }
                text x="0" y=(top + 48) fill="#333" { (super::cut(&one.neuron, 26)) }
                g transform={ "translate(" (LEFT) " " (top) ")" } {
                    rect width=(width) height=(height) fill="#fff" stroke="#999" {}
                    path d={ "M0 " (drawn.zero) "h" (width) } stroke="#bbb" {}
                    path d={ "M0 " (drawn.threshold) "h" (width) } stroke="#555" stroke-dasharray="6 4" {}
                    path d=(drawn.line) fill="none" stroke="#005aa0" stroke-width="1.2" {}
                    path d=(spikes(&one.spikes, across)) stroke="#000" stroke-width="1.6" {}
                    g text-anchor="end" font-size="12" fill="#333" {
                        text x="-6" y=(drawn.threshold + 4.0) { "1" }
                        @if (drawn.zero - drawn.threshold).abs() > 11.0 { text x="-6" y=(drawn.zero + 4.0) { "0" } }
                    }
                }
            }
            g text-anchor="middle" {
                (super::time_labels(end, (LEFT, width), bottom + 6))
                text x=(LEFT + width / 2) y=(bottom + 30) { (of.x) }
            }
        }
    };
    let mut table = Table::new(&["layer", "neuron", "what", of.x, of.y]);
    for one in potentials {
        let row = |what: &str, time: f64, value: String| {
            vec![one.layer.clone(), one.neuron.clone(), what.to_string(), number(time), value]
        };
        table.rows.extend(one.points.iter().map(|&(time, value)| row("potential", time, number(value))));
        table.rows.extend(one.spikes.iter().map(|&time| row("spike", time, String::new())));
    }
    let (file, title, width) = (of.file.into(), of.title.into(), WIDE as u32);
    Ok(Picture { file, title, caption: String::new(), width, svg: svg.into_string(), table })
}

/// Marks of spikes at the top of a panel.
fn spikes(times: &[f64], across: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut last = f64::NEG_INFINITY;
    for x in times.iter().map(|&time| across(time)) {
        // Marks on one pixel are one mark.
        if x - last >= 0.5 {
            let _ = write!(path, "M{} 2v{}", tenth(x), SPIKES - 3);
            last = x;
        }
    }
    path
}

/// A line in the pixels of its panel.
struct Drawn {
    line: String,
    zero: f64,
    threshold: f64,
}

impl Drawn {
    fn new(of: &Potential, end: f64, width: f64, height: usize) -> Self {
        let values = || of.points.iter().map(|point| point.1);
        let (low, high) = (values().fold(0.0, f64::min), values().fold(1.0, f64::max));
        let room = (height - SPIKES) as f64 - 5.0;
        let down = |value: f64| {
            let pixels = SPIKES as f64 + 2.0 + (high - value) / (high - low) * room;
            (10.0 * pixels).round() / 10.0
        };
        let mut line = String::new();
        let _ = write!(line, "M0 {}", of.points.first().map_or(down(0.0), |point| down(point.1)));
        let column = |time: f64| (time / end * width / COLUMN).floor();
        let chunks = of.points.chunk_by(|a, b| column(a.0) == column(b.0));
        for chunk in chunks {
            let x = chunk[0].0 / end * width;
            if x > width {
                break;
            }
            let _ = write!(line, "H{}", tenth(x));
            let mut pixels = chunk.iter().map(|point| down(point.1));
            let (least, most) = pixels.clone().fold((f64::MAX, f64::MIN), |(a, b), y| (a.min(y), b.max(y)));
            let last = pixels.next_back().unwrap_or(0.0);
            if chunk.len() > 2 {
                let _ = write!(line, "V{}V{}", tenth(least), tenth(most));
            } else if chunk.len() == 2 {
                let _ = write!(line, "V{}", tenth(down(chunk[0].1)));
            }
            let _ = write!(line, "V{}", tenth(last));
        }
        let _ = write!(line, "H{}", tenth(width));
        Self { line, zero: down(0.0), threshold: down(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_changes_become_few_strokes_and_the_numbers_are_whole() {
        let points = (0..20_000).map(|k| (f64::from(k) / 200.0, f64::from(k % 7) / 7.0)).collect();
        let one = Potential { layer: "<a>".into(), neuron: "map 0".into(), points, spikes: vec![1.0, 50.0] };
        let axes = Axes { file: "potentials", title: "Potentials", x: "time (ms)", y: "thresholds", ..Axes::default() };
        let picture = potentials(&axes, 100.0, &[one]).unwrap();
        assert!(picture.svg.len() < 20_000, "{}", picture.svg.len());
        assert!(picture.svg.contains("&lt;a&gt;") && !picture.svg.contains("<a>"));
        assert_eq!(picture.table.rows.len(), 20_002);
    }
}
