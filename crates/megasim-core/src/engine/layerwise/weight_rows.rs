//! Weights as the lists of a layer read them.

use super::cells::Rows;
use super::lanes::LANES;
use super::notes::KEY_BITS;
use crate::engine::aligned::Aligned;

/// What the events of a segment may add to a potential, or take away.
pub(super) const SEGMENT_REACH: i64 = 1 << 30;

/// How many events of weights up to `largest` a segment may have.
pub(super) fn segment(largest: i64) -> usize {
    (SEGMENT_REACH / largest.max(1)).min(1 << 20) as usize
}

/// Rows of a weight per lane, padded to whole vectors; then the same rows negated.
#[derive(Debug)]
pub(super) struct WeightRows {
    weights: Aligned,
    /// How many rows there are, without the negated ones.
    pub rows: usize,
    /// Weights from row to row.
    pub stride: usize,
    /// Events that change a potential by at most `segment_reach`.
    segment: usize,
    pub segment_reach: i64,
    /// No weight is larger, nor its negative.
    pub largest: i64,
    /// By row, also of the negated ones, and vector: the lanes that it reaches. Empty if all lanes may be tested, those
    /// that are not reached with a weight of 0.
    reached: Vec<u16>,
}

impl WeightRows {
    /// Rows of as many weights as there are lanes, of which none is larger than `largest`, nor -2^31. None if they are
    /// more than entries of lists can name.
    pub fn new(rows: &[i32], lanes: usize, largest: i64) -> Option<Self> {
        let (stride, n) = (lanes.next_multiple_of(LANES), rows.len() / lanes);
        if 2 * n >= 1 << (32 - KEY_BITS) {
            return None;
        }
        let mut weights = Aligned::new(2 * n * stride);
        for (k, row) in rows.chunks_exact(lanes).enumerate() {
            weights[k * stride..][..lanes].copy_from_slice(row);
            let negated = &mut weights[(n + k) * stride..][..lanes];
            negated.iter_mut().zip(row).for_each(|(negated, weight)| *negated = -weight);
        }
        let segment = segment(largest);
        let segment_reach = segment as i64 * largest.max(1);
        Some(Self { weights, rows: n, stride, segment, segment_reach, largest, reached: Vec::new() })
    }

    /// Only the lanes that a row reaches are tested. `is_reached`: by row and lane.
    pub fn with_reached(self, lanes: usize, is_reached: impl Fn(usize, usize) -> bool) -> Self {
        let vectors = self.stride / LANES;
        let mut reached = vec![0; 2 * self.rows * vectors];
        for row in 0..self.rows {
            for lane in (0..lanes).filter(|&lane| is_reached(row, lane)) {
                for row in [row, self.rows + row] {
                    reached[row * vectors + lane / LANES] |= 1 << (lane % LANES);
                }
            }
        }
        Self { reached, ..self }
    }

    /// How many weights there are, without the negated ones.
    pub fn len(&self) -> usize {
        self.rows * self.stride
    }

    pub fn view(&self) -> Rows<'_> {
        Rows { weights: &self.weights, stride: self.stride, segment: self.segment, reached: &self.reached }
    }
}
