//! An occupancy over time, in a bounded number of points for any length of run.

/// The most buckets.
const MOST: usize = 128;

/// An occupancy over the time from the start of a run; runs of any length can be merged. Buckets
/// of time are powers of two ticks long, and become twice as long when there would be too many of them; so what comes
/// out does not depend on the order in which parts are added.
///
/// ```
/// use megasim_core::engine::machine::Occupancy;
/// let mut queue = Occupancy::default();
/// queue.record(0, 0, 3);
/// queue.record(2, 3, 4);
/// assert_eq!(queue.points().map(|point| point.mean).collect::<Vec<_>>(), [0.0, 0.0, 0.0, 2.0]);
/// queue.record(1, 4, 1024);
/// assert_eq!(queue.width(), 8);
/// let first = queue.points().next().unwrap();
/// assert_eq!((first.from, first.to, first.least, first.mean, first.most), (0, 8, 0, 0.75, 2));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Occupancy {
    /// The logarithm of the length of a bucket.
    shift: u32,
    buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Bucket {
    ticks: u64,
    sum: u128,
    least: u64,
    most: u64,
}

/// One point of an [`Occupancy`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OccupancyPoint {
    /// Its first tick.
    pub from: u64,
    /// The tick after its last one.
    pub to: u64,
    /// The least value in that time, in any run.
    pub least: u64,
    /// The mean over all ticks of all runs in that time.
    pub mean: f64,
    /// The greatest value.
    pub most: u64,
}

impl Bucket {
    #[inline]
    fn add(&mut self, other: &Self) {
        if other.ticks == 0 {
            return;
        }
        self.least = if self.ticks == 0 { other.least } else { self.least.min(other.least) };
        self.most = self.most.max(other.most);
        self.ticks += other.ticks;
        self.sum += other.sum;
    }
}

impl Occupancy {
    /// Adds a value that was constant from tick `from` to before tick `to`.
    #[inline]
    pub fn record(&mut self, value: u64, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let (first, last) = (from >> self.shift, (to - 1) >> self.shift);
        match self.buckets.get_mut(first as usize) {
            // As most values that come one after the other.
            Some(bucket) if first == last => {
                let ticks = to - from;
                let sum = u128::from(value) * u128::from(ticks);
                bucket.add(&Bucket { ticks, sum, least: value, most: value });
            }
            _ => self.record_in_several(value, from, to),
        }
    }

    #[inline(never)]
    fn record_in_several(&mut self, value: u64, from: u64, to: u64) {
        while (to - 1) >> self.shift >= MOST as u64 {
            self.coarsen();
        }
        let (first, last) = ((from >> self.shift) as usize, ((to - 1) >> self.shift) as usize);
        if self.buckets.len() <= last {
            self.buckets.resize(last + 1, Bucket::default());
        }
        for (k, bucket) in self.buckets.iter_mut().enumerate().take(last + 1).skip(first) {
            let start = (k as u64) << self.shift;
            let ticks = to.min(start + (1 << self.shift)) - from.max(start);
            let sum = u128::from(value) * u128::from(ticks);
            bucket.add(&Bucket { ticks, sum, least: value, most: value });
        }
    }

    /// Adds the occupancy of another run.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        while self.shift < other.shift {
            self.coarsen();
        }
        while other.shift < self.shift {
            other.coarsen();
        }
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), Bucket::default());
        }
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, more)| mine.add(more));
    }

    /// Makes buckets twice as long.
    fn coarsen(&mut self) {
        self.shift += 1;
        let pairs = self.buckets.chunks(2).map(|pair| {
            let mut sum = pair[0];
            pair[1..].iter().for_each(|other| sum.add(other));
            sum
        });
        self.buckets = pairs.collect();
    }

    /// How many ticks a bucket has.
    pub fn width(&self) -> u64 {
        1 << self.shift
    }

    /// The points in order of time; times without values are left out.
    pub fn points(&self) -> impl Iterator<Item = OccupancyPoint> + '_ {
        self.buckets.iter().enumerate().filter(|(_, bucket)| bucket.ticks > 0).map(|(k, bucket)| OccupancyPoint {
            from: (k as u64) << self.shift,
            to: (k as u64 + 1) << self.shift,
            least: bucket.least,
            mean: bucket.sum as f64 / bucket.ticks as f64,
            most: bucket.most,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against every tick for itself, in any order and any number of parts.
        #[test]
        fn points_are_what_the_ticks_of_their_time_say(
            spans in prop::collection::vec((0_u64..9, 0_u64..2000, 1_u64..300), 1..20),
            cut in 0_usize..20,
        ) {
            let mut parts = [Occupancy::default(), Occupancy::default()];
            let mut ticks: Vec<Vec<u64>> = vec![Vec::new(); 4096];
            for (k, &(value, from, length)) in spans.iter().enumerate() {
                parts[usize::from(k >= cut)].record(value, from, from + length);
                ticks[from as usize..(from + length) as usize].iter_mut().for_each(|of| of.push(value));
            }
            let mut one = parts[0].clone();
            one.merge(&parts[1]);
            let mut other = parts[1].clone();
            other.merge(&parts[0]);
            prop_assert_eq!(&one, &other);
            prop_assert!(one.buckets.len() <= MOST);
            let mut seen = 0;
            for point in one.points() {
                let all: Vec<u64> = ticks[point.from as usize..point.to as usize].iter().flatten().copied().collect();
                seen += all.len();
                prop_assert_eq!(Some(&point.least), all.iter().min());
                prop_assert_eq!(Some(&point.most), all.iter().max());
                prop_assert!((point.mean - all.iter().sum::<u64>() as f64 / all.len() as f64).abs() < 1e-9);
            }
            prop_assert_eq!(seen, ticks.iter().map(Vec::len).sum::<usize>());
        }
    }
}
