//! The parallel runner of samples, which all studies share.

use megasim_core::control::Control;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What came out of samples that ran in parallel.
pub(crate) struct Runs<T, S> {
    /// Numbers and results of the samples that ran, in order; with gaps where the work was cancelled.
    samples: Vec<(usize, T)>,
    /// What the workers left, in any number.
    pub workers: Vec<S>,
    first: usize,
}

impl<T, S> Runs<T, S> {
    /// Results of the samples up to the first one that did not run.
    pub fn complete(self) -> Vec<T> {
        let is_next = |&(at, (number, _)): &(usize, (usize, T))| number == at;
        let in_order = (self.first..).zip(self.samples).take_while(is_next);
        in_order.map(|(_, (_, result))| result).collect()
    }

    /// Results of all samples that ran.
    pub fn all(self) -> Vec<T> {
        self.samples.into_iter().map(|(_, result)| result).collect()
    }
}

/// What one worker did.
struct Part<W, T, E> {
    worker: W,
    samples: Vec<(usize, T)>,
    error: Option<(usize, E)>,
}

/// Runs samples in parallel, each with the worker of its part of them (simulations, buffers), which `finish` gets in
/// the end. The results do not depend on the number of threads.
///
/// # Errors
/// That of the sample with the lowest number.
pub(crate) fn run<W: Send, S: Send, T: Send, E: Send>(
    samples: Range<usize>,
    control: &dyn Control,
    worker: impl Fn() -> W + Sync + Send,
    one: impl Fn(&mut W, usize) -> Result<T, E> + Sync + Send,
    finish: impl Fn(W) -> S + Sync + Send,
) -> Result<Runs<T, S>, E> {
    let first = samples.start;
    // Samples behind one that failed do not count; those before it do, as one of them may fail as well.
    let failed = AtomicUsize::new(usize::MAX);
    let parts: Vec<Part<S, T, E>> = samples
        .into_par_iter()
        .fold(
            || Part { worker: worker(), samples: Vec::new(), error: None },
            |mut part, sample| {
                if control.is_cancelled() || sample > failed.load(Ordering::Relaxed) {
                    return part;
                }
                match one(&mut part.worker, sample) {
                    Ok(result) => {
                        part.samples.push((sample, result));
                        control.done(1);
                    }
                    Err(error) => {
                        failed.fetch_min(sample, Ordering::Relaxed);
                        part.error.get_or_insert((sample, error));
                    }
                }
                part
            },
        )
        .map(|Part { worker, samples, error }| Part { worker: finish(worker), samples, error })
        .collect();
    let mut runs = Runs { samples: Vec::new(), workers: Vec::new(), first };
    for part in parts {
        if let Some((_, error)) = part.error {
            return Err(error);
        }
        runs.samples.extend(part.samples);
        runs.workers.push(part.worker);
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::run;
    use megasim_core::control::Control;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Cancels after a number of samples.
    struct First(AtomicUsize, usize);

    impl Control for First {
        fn done(&self, n: usize) {
            self.0.fetch_add(n, Ordering::SeqCst);
        }
        fn is_cancelled(&self) -> bool {
            self.0.load(Ordering::SeqCst) >= self.1
        }
    }

    #[test]
    fn results_are_in_order_and_workers_saw_all() {
        let one = |seen: &mut usize, k| {
            *seen += 1;
            Ok::<_, ()>(k * k)
        };
        let runs = run(3..1000, &(), || 0usize, one, |seen| seen).unwrap();
        assert_eq!(runs.workers.iter().sum::<usize>(), 997);
        assert_eq!(runs.complete(), (3..1000).map(|k| k * k).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_error_comes_out() {
        let one = |_: &mut (), k| if k % 100 == 57 { Err(k) } else { Ok(()) };
        for _ in 0..20 {
            assert_eq!(run(0..10_000, &(), || (), one, |()| ()).err(), Some(57));
        }
    }

    #[test]
    fn cancelled_work_has_no_gap_where_none_is_wanted() {
        for most in [0, 1, 50] {
            let control = First(AtomicUsize::new(0), most);
            let runs = run(10..10_000, &control, || (), |(), k| Ok::<_, ()>(k), |()| ()).unwrap();
            let complete = runs.complete();
            assert_eq!(complete, (10..10 + complete.len()).collect::<Vec<_>>());
            assert!(complete.len() < 9_990);
        }
        let runs = run(0..10, &First(AtomicUsize::new(0), 11), || (), |(), k| Ok::<_, ()>(k), |()| ()).unwrap();
        assert_eq!(runs.all().len(), 10);
    }
}
