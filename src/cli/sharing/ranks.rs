//! The samples of a study over the ranks of MPI.
//!
//! All ranks run the same command, and come to the same stages in the same order. In each stage rank 0 hands out
//! samples, a few at a time, to its own threads and to those of other ranks, and keeps what they give; when all are
//! done every rank gets all of them, so that what follows is the same everywhere. Only rank 0 prints and writes.
//!
//! MPI is called by one thread at a time.

use super::KeptOutcomes;
use megasim::control::{Block, Outcomes};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, MatchedReceiveVec, Root, Source};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const TO_FIRST: i32 = 1;
const FROM_FIRST: i32 = 2;

/// Between two looks at what has come.
const PAUSE: Duration = Duration::from_micros(200);

/// Between two lines on how far it is.
const REPORT: Duration = Duration::from_secs(10);

/// Most samples that are handed out together.
const MOST_SAMPLES: usize = 16;

/// A stage: its name and its first sample.
type Key = (String, usize);

#[derive(Debug, Serialize, Deserialize)]
enum Request {
    /// For samples to run.
    Claim(Key),
    /// What ran.
    Done(Key, usize, Block),
    /// For all outcomes.
    Fetch(Key),
    /// The rank has nothing more to do.
    Leave,
}

#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    Run(Vec<usize>),
    /// Not yet.
    Wait,
    /// All samples are handed out.
    Nothing,
    Blocks(Vec<Block>),
    /// Rank 0 has ended.
    End,
}

/// A poisoned lock is one whose holder panicked, which ends the program anyway.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What rank 0 knows of a stage.
#[derive(Debug, Default)]
struct Stage {
    /// Samples that were not handed out, the last one first.
    left: Vec<usize>,
    /// Samples that were handed out and are not done.
    running: usize,
    blocks: Vec<Block>,
    /// Ranks that have all outcomes.
    fetched: usize,
    is_complete: bool,
}

#[derive(Default)]
struct Desk {
    stages: Mutex<BTreeMap<Key, Stage>>,
    changed: Condvar,
    left: AtomicUsize,
    has_ended: AtomicBool,
}

/// This rank among all.
pub struct Ranks {
    rank: usize,
    size: usize,
    /// Held by the thread that calls MPI; on other ranks than 0 from a request to its reply.
    calls: Mutex<()>,
    desk: Desk,
    /// What is known from an earlier run, and keeps what comes; on rank 0.
    kept: Option<Arc<KeptOutcomes>>,
}

fn bytes(of: &impl Serialize) -> Vec<u8> {
    // Numbers, texts and lists, whose lengths are known.
    postcard::to_allocvec(of).unwrap_or_else(|_| unreachable!("every message has a form in bytes"))
}

fn world() -> SimpleCommunicator {
    SimpleCommunicator::world()
}

impl Ranks {
    /// Starts MPI.
    ///
    /// # Errors
    /// If MPI does not start, or cannot be called from several threads.
    pub fn start(kept: Option<Arc<KeptOutcomes>>) -> Result<Self, String> {
        let (universe, threading) = mpi::initialize_with_threading(mpi::Threading::Serialized)
            .ok_or("MPI is started already, and cannot be started again")?;
        // `leave` ends MPI, as values of static variables are never dropped.
        std::mem::forget(universe);
        if threading < mpi::Threading::Serialized {
            return Err(format!("expected MPI with calls from several threads, found {threading:?}"));
        }
        let (rank, size) = (world().rank() as usize, world().size() as usize);
        let kept = kept.filter(|_| rank == 0);
        Ok(Self { rank, size, calls: Mutex::new(()), desk: Desk::default(), kept })
    }

    /// Whether this is not the rank that prints and writes.
    pub fn is_worker(&self) -> bool {
        self.rank > 0
    }

    /// The bytes of rank 0 on all ranks.
    pub fn agree(&self, own: Vec<u8>) -> Vec<u8> {
        let _calls = lock(&self.calls);
        let world = world();
        let root = world.process_at_rank(0);
        let mut length = own.len() as u64;
        root.broadcast_into(&mut length);
        let mut all = if self.rank == 0 { own } else { vec![0; length as usize] };
        root.broadcast_into(&mut all[..]);
        all
    }

    /// Answers other ranks for as long as they have not left; on rank 0, in its own thread.
    pub fn serve(&self) {
        let mut reported = Instant::now();
        while self.desk.left.load(Ordering::SeqCst) + 1 < self.size {
            let received = {
                let _calls = lock(&self.calls);
                let received = world().any_process().immediate_matched_probe_with_tag(TO_FIRST);
                received.map(|message| {
                    let (bytes, status): (Vec<u8>, _) = message.matched_receive_vec();
                    (bytes, status.source_rank())
                })
            };
            let Some((request, source)) = received else {
                std::thread::sleep(PAUSE);
                continue;
            };
            let request: Option<Request> = postcard::from_bytes(&request).ok();
            let leaves = matches!(request, Some(Request::Leave));
            let reply = bytes(&request.map_or(Reply::End, |request| self.answer(request)));
            {
                let _calls = lock(&self.calls);
                world().process_at_rank(source).send_with_tag(&reply[..], FROM_FIRST);
            }
            // Only now may MPI end.
            self.desk.left.fetch_add(usize::from(leaves), Ordering::SeqCst);
            if reported.elapsed() >= REPORT {
                reported = Instant::now();
                self.report();
            }
        }
    }

    /// Says on standard error how far the stages are.
    fn report(&self) {
        for ((stage, _), of) in lock(&self.desk.stages).iter().filter(|(_, of)| !of.is_complete) {
            let done: usize = of.blocks.iter().map(|block| block.samples.len()).sum();
            let all = done + of.running + of.left.len();
            super::super::output::message(format_args!("{stage}: {done} of {all} samples on {} ranks", self.size));
        }
    }

    fn answer(&self, request: Request) -> Reply {
        let not_yet = || if self.desk.has_ended.load(Ordering::SeqCst) { Reply::End } else { Reply::Wait };
        match request {
            Request::Claim(key) => match self.claim(&key) {
                None => not_yet(),
                Some(samples) if samples.is_empty() => Reply::Nothing,
                Some(samples) => Reply::Run(samples),
            },
            Request::Done(key, claimed, block) => {
                self.done(&key, claimed, block);
                Reply::Nothing
            }
            Request::Fetch(key) => {
                let mut stages = lock(&self.desk.stages);
                let Some(stage) = stages.get_mut(&key).filter(|stage| stage.is_complete) else { return not_yet() };
                stage.fetched += 1;
                let blocks = stage.blocks.clone();
                if stage.fetched + 1 == self.size {
                    stages.remove(&key);
                }
                Reply::Blocks(blocks)
            }
            Request::Leave => Reply::End,
        }
    }

    /// The next samples of a stage; none where rank 0 has not come to it.
    fn claim(&self, key: &Key) -> Option<Vec<usize>> {
        let mut stages = lock(&self.desk.stages);
        let stage = stages.get_mut(key)?;
        let workers = self.size * rayon::current_num_threads().max(1);
        // Fewer and fewer, so that all end at the same time.
        let n = (stage.left.len() / (3 * workers)).clamp(1, MOST_SAMPLES).min(stage.left.len());
        stage.running += n;
        let rest = stage.left.len() - n;
        let mut samples = stage.left.split_off(rest);
        samples.reverse();
        Some(samples)
    }

    fn done(&self, key: &Key, claimed: usize, block: Block) {
        if let Some(kept) = &self.kept {
            kept.keep(&key.0, &block);
        }
        let mut stages = lock(&self.desk.stages);
        if let Some(stage) = stages.get_mut(key) {
            stage.running -= claimed.min(stage.running);
            // A sample failed, or the work was cancelled: no more are handed out.
            if block.samples.len() < claimed {
                stage.left.clear();
            }
            stage.blocks.push(block);
            self.desk.changed.notify_all();
        }
    }

    /// A stage on rank 0.
    fn lead(&self, key: &Key, samples: Range<usize>, here: &(dyn Fn(&[usize]) -> Block + Sync)) -> Vec<Block> {
        let (known, mut left) = match &self.kept {
            Some(kept) => {
                let known = kept.known(&key.0, &samples);
                kept.plan(&key.0, &samples);
                let left = kept.left(&samples, &known);
                (known, left)
            }
            None => (Vec::new(), samples.collect()),
        };
        left.reverse();
        lock(&self.desk.stages).insert(key.clone(), Stage { left, blocks: known, ..Stage::default() });
        let threads = rayon::current_num_threads().max(1);
        (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
            while let Some(samples) = self.claim(key).filter(|samples| !samples.is_empty()) {
                self.done(key, samples.len(), here(&samples));
            }
        });
        let mut stages = lock(&self.desk.stages);
        loop {
            match stages.get_mut(key) {
                Some(stage) if stage.running > 0 => {
                    stages = self.desk.changed.wait(stages).unwrap_or_else(PoisonError::into_inner);
                }
                Some(stage) => {
                    stage.is_complete = true;
                    return stage.blocks.clone();
                }
                None => return Vec::new(),
            }
        }
    }

    /// Sends a request to rank 0 and waits for its reply.
    fn ask(&self, request: &Request) -> Reply {
        let _calls = lock(&self.calls);
        let world = world();
        let first = world.process_at_rank(0);
        first.send_with_tag(&bytes(request)[..], TO_FIRST);
        loop {
            if let Some(message) = first.immediate_matched_probe_with_tag(FROM_FIRST) {
                let (reply, _): (Vec<u8>, _) = message.matched_receive_vec();
                return postcard::from_bytes(&reply).unwrap_or(Reply::End);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// A stage on another rank.
    fn follow(&self, key: &Key, here: &(dyn Fn(&[usize]) -> Block + Sync)) -> Vec<Block> {
        let threads = rayon::current_num_threads().max(1);
        (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
            loop {
                match self.ask(&Request::Claim(key.clone())) {
                    Reply::Run(samples) => {
                        let done = Request::Done(key.clone(), samples.len(), here(&samples));
                        self.ask(&done);
                    }
                    Reply::Wait => std::thread::sleep(PAUSE),
                    Reply::Nothing | Reply::Blocks(_) | Reply::End => return,
                }
            }
        });
        loop {
            match self.ask(&Request::Fetch(key.clone())) {
                Reply::Blocks(blocks) => return blocks,
                Reply::Wait => std::thread::sleep(PAUSE),
                // Rank 0 has failed, and says why.
                Reply::Run(_) | Reply::Nothing | Reply::End => {
                    self.leave();
                    std::process::exit(0);
                }
            }
        }
    }

    /// Ends all processes.
    pub fn abort(&self) {
        if !self.is_worker() {
            let _calls = lock(&self.calls);
            world().abort(1);
        }
    }

    /// Ends MPI, when all ranks have come here.
    pub fn leave(&self) {
        if self.is_worker() {
            self.ask(&Request::Leave);
        } else {
            self.desk.has_ended.store(true, Ordering::SeqCst);
            while self.desk.left.load(Ordering::SeqCst) + 1 < self.size {
                std::thread::sleep(PAUSE);
            }
        }
        let _calls = lock(&self.calls);
        // SAFETY: MPI is started, no other thread calls it, and it is ended once: by the end of a command.
        unsafe { mpi::ffi::MPI_Finalize() };
    }
}

impl Outcomes for Ranks {
    fn run(&self, stage: &str, samples: Range<usize>, here: &(dyn Fn(&[usize]) -> Block + Sync)) -> Vec<Block> {
        let key = (stage.to_string(), samples.start);
        if self.is_worker() { self.follow(&key, here) } else { self.lead(&key, samples, here) }
    }

    fn in_order(&self) -> bool {
        true
    }

    fn damaged(&self, stage: &str, sample: usize) {
        if let Some(kept) = &self.kept {
            kept.damaged(stage, sample);
        }
    }
}
