//! The least and the largest of many integers.

/// Integers that are looked at side by side.
const BLOCK: usize = 64;

crate::vectorized! {
    /// The least and the largest value; `(0, 0)` of none.
    pub(super) fn extremes(values: &[i32]) -> (i32, i32) {
        if values.is_empty() {
            return (0, 0);
        }
        // Many side by side, as compilers do not make that of one.
        let (mut low, mut high) = ([i32::MAX; BLOCK], [i32::MIN; BLOCK]);
        let (blocks, rest) = values.as_chunks::<BLOCK>();
        for block in blocks {
            for k in 0..BLOCK {
                low[k] = low[k].min(block[k]);
                high[k] = high[k].max(block[k]);
            }
        }
        let lows = low.iter().chain(rest).copied();
        let highs = high.iter().chain(rest).copied();
        (lows.min().unwrap_or(i32::MAX), highs.max().unwrap_or(i32::MIN))
    }
}
