//! Loops over the threads of the current rayon pool.
//!
//! rayon compiles its scheduling anew for each closure, which was a tenth of the time to build the studies and the
//! program. Here it is compiled once, for a `dyn` closure that takes a piece of the range.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

pub use rayon::current_num_threads;

/// Calls `piece` with ranges that together make up the whole one, in any order and on several threads.
pub fn for_each_piece(range: Range<usize>, piece: &(dyn Fn(Range<usize>) + Sync)) {
    use rayon::iter::ParallelIterator;
    rayon::iter::split(range, halves).for_each(piece);
}

fn halves(range: Range<usize>) -> (Range<usize>, Option<Range<usize>>) {
    let middle = range.start + range.len() / 2;
    if middle == range.start { (range, None) } else { (range.start..middle, Some(middle..range.end)) }
}

/// What `piece` gives for ranges that together make up the whole one, in the order of the ranges.
pub fn map_pieces<T: Send>(range: Range<usize>, piece: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let done: Mutex<Vec<(usize, T)>> = Mutex::default();
    for_each_piece(range, &|numbers| {
        let start = numbers.start;
        let result = piece(numbers);
        done.lock().unwrap_or_else(PoisonError::into_inner).push((start, result));
    });
    let done = by_number(done.into_inner().unwrap_or_else(PoisonError::into_inner));
    done.into_iter().map(|(_, result)| result).collect()
}

/// Results in the order of their numbers.
///
/// ```
/// assert_eq!(megasim_network::parallel::by_number(vec![(7, 'b'), (2, 'a')]), [(2, 'a'), (7, 'b')]);
/// ```
pub fn by_number<T>(results: Vec<(usize, T)>) -> Vec<(usize, T)> {
    // Numbers are sorted, not results: a sort is compiled for each type, and is long.
    let numbers = results.iter().enumerate();
    let mut places: Vec<(usize, usize)> = numbers.map(|(place, (number, _))| (*number, place)).collect();
    places.sort_unstable();
    let mut results: Vec<Option<(usize, T)>> = results.into_iter().map(Some).collect();
    places.into_iter().filter_map(|(_, place)| results[place].take()).collect()
}

/// What `one` gives for each number of a range, in order.
///
/// ```
/// assert_eq!(megasim_network::parallel::map(2..5, |number| number * number), [4, 9, 16]);
/// ```
pub fn map<T: Send>(range: Range<usize>, one: impl Fn(usize) -> T + Sync) -> Vec<T> {
    map_with(range, || (), |(), number| one(number))
}

/// What `one` gives for each number of a range, in order; `start` makes the buffers or simulations that it works with,
/// once or more for each thread.
pub fn map_with<W, T: Send>(
    range: Range<usize>,
    start: impl Fn() -> W + Sync,
    one: impl Fn(&mut W, usize) -> T + Sync,
) -> Vec<T> {
    let piece = |numbers: Range<usize>| {
        let mut with = start();
        numbers.map(|number| one(&mut with, number)).collect::<Vec<T>>()
    };
    map_pieces(range, piece).into_iter().flatten().collect()
}

/// Calls `one` for each number of a range, in any order, until a call fails; calls for higher numbers may have begun.
///
/// ```
/// let odd = |number| if number % 2 == 1 { Err(number) } else { Ok(()) };
/// assert_eq!(megasim_network::parallel::try_for_each(4..100, &odd), Err(5));
/// ```
///
/// # Errors
/// That of the lowest number that fails.
pub fn try_for_each<E: Send>(range: Range<usize>, one: &(dyn Fn(usize) -> Result<(), E> + Sync)) -> Result<(), E> {
    let lowest = AtomicUsize::new(usize::MAX);
    let piece = |numbers: Range<usize>| {
        for number in numbers {
            // Numbers behind one that failed do not count; those before it do, as one of them may fail as well.
            if number > lowest.load(Ordering::Relaxed) {
                break;
            }
            one(number).inspect_err(|_| _ = lowest.fetch_min(number, Ordering::Relaxed))?;
        }
        Ok(())
    };
    map_pieces(range, piece).into_iter().collect()
}

/// The threads on which the loops of some work run.
#[derive(Debug)]
pub struct Pool(rayon::ThreadPool);

impl Pool {
    /// A pool of a number of threads; 0 is one for each processor.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().map(Self)
    }

    /// How many threads it has.
    pub fn current_num_threads(&self) -> usize {
        self.0.current_num_threads()
    }

    /// What `work` gives; its loops, and those of what it calls, run on these threads.
    ///
    /// # Panics
    /// Where `work` does.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let (mut work, mut result) = (Some(work), None);
        let mut run = || result = work.take().map(|work| work());
        self.0.install(&mut run as &mut (dyn FnMut() + Send));
        result.unwrap_or_else(|| unreachable!("a pool runs its work before it returns"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Pool, map, map_pieces, map_with, try_for_each};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn pieces_make_up_the_range_in_order() {
        for (from, to) in [(0, 0), (3, 4), (5, 1000)] {
            let pieces = map_pieces(from..to, |piece| piece);
            assert_eq!(pieces.first().map(|piece| piece.start), Some(from));
            assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!(pieces.last().map(|piece| piece.end), Some(to));
        }
    }

    #[test]
    fn the_lowest_number_that_fails_comes_out() {
        for threads in [1, 2, 7] {
            let pool = Pool::new(threads).unwrap();
            let one = |number| if number % 100 == 57 { Err(number) } else { Ok(()) };
            assert_eq!(pool.install(|| try_for_each(100..10_000, &one)), Err(157));
        }
        let calls = AtomicUsize::new(0);
        let one = |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            Ok::<(), ()>(())
        };
        assert_eq!(try_for_each(3..1000, &one), Ok(()));
        assert_eq!(calls.into_inner(), 997);
    }

    #[test]
    fn results_are_in_order_with_any_number_of_threads() {
        for threads in [1, 2, 7] {
            let pool = Pool::new(threads).unwrap();
            assert_eq!(pool.current_num_threads(), threads);
            let squares = pool.install(|| map(5..205, |number| number * number));
            assert_eq!(squares, (5..205).map(|number| number * number).collect::<Vec<_>>());
            let buffers = pool.install(|| {
                let one = |buffer: &mut Vec<usize>, number| {
                    buffer.push(number);
                    buffer.len()
                };
                map_with(0..100, Vec::new, one)
            });
            assert_eq!((buffers.len(), buffers[0]), (100, 1));
        }
    }
}
