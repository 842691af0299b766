//! The parallel runner of samples, which all studies share.

use megasim_core::control::{Block, Control, Outcomes};
use megasim_core::parallel;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What can be kept in a file, or come from another process.
pub(crate) trait Outcome: Send + Serialize + DeserializeOwned {}

impl<T: Send + Serialize + DeserializeOwned> Outcome for T {}

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

    /// Results in the places of their samples, the first `n`; others have the default.
    pub fn spread(self, n: usize) -> Vec<T>
    where
        T: Clone + Default,
    {
        let mut all = vec![T::default(); n];
        for (number, result) in self.samples {
            if let Some(place) = all.get_mut(number) {
                *place = result;
            }
        }
        all
    }

    /// Results of all samples that ran.
    pub fn all(self) -> Vec<T> {
        self.samples.into_iter().map(|(_, result)| result).collect()
    }
}

/// Runs samples in parallel, each with the worker of its part of them (simulations, buffers), which `finish` gets in
/// the end. The results do not depend on the number of threads, nor on which process runs which sample; `stage` tells
/// the runs of one study apart.
///
/// # Errors
/// That of the sample with the lowest number.
pub(crate) fn run<W: Send, S: Outcome, T: Outcome, E: Send>(
    stage: &str,
    samples: Range<usize>,
    control: &dyn Control,
    worker: impl Fn() -> W + Sync + Send,
    one: impl Fn(&mut W, usize) -> Result<T, E> + Sync + Send,
    finish: impl Fn(W) -> S + Sync + Send,
) -> Result<Runs<T, S>, E> {
    let work = Work { worker: &worker, one: &one, finish: &finish };
    match control.outcomes() {
        Some(outcomes) => shared(outcomes, stage, samples, control, work),
        None => here(samples, control, work),
    }
}

/// What is done; as `dyn` closures it is compiled once for both ways to run samples.
struct Work<'a, W, S, T, E> {
    worker: &'a (dyn Fn() -> W + Sync),
    one: &'a (dyn Fn(&mut W, usize) -> Result<T, E> + Sync),
    finish: &'a (dyn Fn(W) -> S + Sync),
}

/// All samples in this process.
fn here<W: Send, S: Send, T: Send, E: Send>(
    samples: Range<usize>,
    control: &dyn Control,
    Work { worker, one, finish }: Work<'_, W, S, T, E>,
) -> Result<Runs<T, S>, E> {
    let first = samples.start;
    // Samples behind one that failed do not count; those before it do, as one of them may fail as well.
    let failed = AtomicUsize::new(usize::MAX);
    let piece = |numbers: Range<usize>| {
        let (mut worker, mut samples) = (worker(), Vec::new());
        for sample in numbers {
            if control.is_cancelled() || sample > failed.load(Ordering::Relaxed) {
                break;
            }
            match one(&mut worker, sample) {
                Ok(result) => {
                    samples.push((sample, result));
                    control.done(1);
                }
                Err(error) => {
                    failed.fetch_min(sample, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok((samples, finish(worker)))
    };
    let mut runs = Runs { samples: Vec::new(), workers: Vec::new(), first };
    for part in parallel::map_pieces(samples, piece) {
        let (samples, worker) = part?;
        runs.samples.extend(samples);
        runs.workers.push(worker);
    }
    Ok(runs)
}

/// Samples that several processes share, or whose outcomes are kept.
fn shared<W: Send, S: Outcome, T: Outcome, E: Send>(
    outcomes: &dyn Outcomes,
    stage: &str,
    samples: Range<usize>,
    control: &dyn Control,
    Work { worker, one, finish }: Work<'_, W, S, T, E>,
) -> Result<Runs<T, S>, E> {
    let stage = format!("{}{stage}", control.part());
    let faults: Mutex<Vec<(usize, E)>> = Mutex::default();
    let here = |numbers: &[usize]| {
        let mut state = worker();
        let mut block = Block::default();
        for &number in numbers {
            if control.is_cancelled() {
                break;
            }
            match one(&mut state, number) {
                Ok(result) => block.samples.push((number, bytes(&result))),
                Err(fault) => {
                    faults.lock().unwrap_or_else(PoisonError::into_inner).push((number, fault));
                    // What all of them gave together may have a part of this one.
                    return Block { failed: vec![number], ..Block::default() };
                }
            }
            control.done(1);
        }
        if !block.samples.is_empty() {
            block.together = bytes(&finish(state));
        }
        block
    };
    let first = samples.start;
    let mut blocks = outcomes.run(&stage, samples, &here);
    // What failed elsewhere fails here as well, with an error that can be reported.
    let mut failed: Vec<usize> = blocks.iter().flat_map(|block| block.failed.iter().copied()).collect();
    failed.sort_unstable();
    for number in failed {
        let faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = faults.iter().any(|(known, _)| *known == number);
        drop(faults);
        if !is_known {
            blocks.push(here(&[number]));
        }
    }
    let faults = faults.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, fault)) = faults.into_iter().min_by_key(|(number, _)| *number) {
        return Err(fault);
    }
    let mut runs = Runs { samples: Vec::new(), workers: Vec::new(), first };
    for block in blocks {
        for (number, bytes) in &block.samples {
            match postcard::from_bytes(bytes) {
                Ok(result) => runs.samples.push((*number, result)),
                Err(_) => outcomes.damaged(&stage, *number),
            }
        }
        match (postcard::from_bytes(&block.together), block.samples.first()) {
            (Ok(of), Some(_)) => runs.workers.push(of),
            (Err(_), Some((number, _))) => outcomes.damaged(&stage, *number),
            (_, None) => {}
        }
    }
    runs.samples = parallel::by_number(runs.samples);
    Ok(runs)
}

fn bytes(of: &impl Serialize) -> Vec<u8> {
    // Numbers, lists and enums, whose lengths are known.
    postcard::to_allocvec(of).unwrap_or_else(|_| unreachable!("every outcome has a form in bytes"))
}

#[cfg(test)]
mod tests {
    use super::run;
    use megasim_core::control::{Block, Control, Outcomes};
    use std::ops::Range;
    use std::sync::Mutex;
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
        let runs = run("", 3..1000, &(), || 0usize, one, |seen| seen).unwrap();
        assert_eq!(runs.workers.iter().sum::<usize>(), 997);
        assert_eq!(runs.complete(), (3..1000).map(|k| k * k).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_error_comes_out() {
        let one = |_: &mut (), k| if k % 100 == 57 { Err(k) } else { Ok(()) };
        for _ in 0..20 {
            assert_eq!(run("", 0..10_000, &(), || (), one, |()| ()).err(), Some(57));
        }
    }

    #[test]
    fn cancelled_work_has_no_gap_where_none_is_wanted() {
        for most in [0, 1, 50] {
            let control = First(AtomicUsize::new(0), most);
            let runs = run("", 10..10_000, &control, || (), |(), k| Ok::<_, ()>(k), |()| ()).unwrap();
            let complete = runs.complete();
            assert_eq!(complete, (10..10 + complete.len()).collect::<Vec<_>>());
            assert!(complete.len() < 9_990);
        }
        let runs = run("", 0..10, &First(AtomicUsize::new(0), 11), || (), |(), k| Ok::<_, ()>(k), |()| ()).unwrap();
        assert_eq!(runs.all().len(), 10);
    }

    /// Keeps what ran, and runs only part of the samples.
    struct Shared(Mutex<Vec<Block>>, usize);

    impl Outcomes for Shared {
        fn run(&self, stage: &str, samples: Range<usize>, here: &(dyn Fn(&[usize]) -> Block + Sync)) -> Vec<Block> {
            assert_eq!(stage, "squares");
            let mut known = self.0.lock().unwrap();
            let has = |k: &usize| known.iter().any(|block| block.samples.iter().any(|(known, _)| known == k));
            let left: Vec<usize> = samples.filter(|k| !has(k)).take(self.1).collect();
            known.extend(left.chunks(7).map(here));
            known.clone()
        }
    }

    impl Control for Shared {
        fn outcomes(&self) -> Option<&dyn Outcomes> {
            Some(self)
        }
    }

    #[test]
    fn kept_outcomes_are_not_run_again() {
        let ran = AtomicUsize::new(0);
        let one = |sum: &mut usize, k| {
            ran.fetch_add(1, Ordering::SeqCst);
            *sum += k;
            Ok::<_, ()>(k * k)
        };
        let mut control = Shared(Mutex::default(), 30);
        let some = run("squares", 5..105, &control, || 0, one, |sum| sum).unwrap().complete();
        assert_eq!(some, (5..35).map(|k| k * k).collect::<Vec<_>>());
        control.1 = 1000;
        let all = run("squares", 5..105, &control, || 0, one, |sum| sum).unwrap();
        assert_eq!(all.workers.iter().sum::<usize>(), (5..105).sum::<usize>());
        assert_eq!(all.complete(), (5..105).map(|k| k * k).collect::<Vec<_>>());
        assert_eq!(ran.load(Ordering::SeqCst), 100);
    }

    #[test]
    fn the_first_error_of_shared_samples_comes_out() {
        let one = |_: &mut (), k| if k % 10 == 7 { Err(k) } else { Ok(k) };
        let control = Shared(Mutex::default(), 1000);
        assert_eq!(run("squares", 0..50, &control, || (), one, |()| ()).err(), Some(7));
        // What another process could not do either.
        let elsewhere = Shared(Mutex::new(vec![Block { failed: vec![17], ..Block::default() }]), 5);
        assert_eq!(run("squares", 0..50, &elsewhere, || (), one, |()| ()).err(), Some(17));
    }
}
