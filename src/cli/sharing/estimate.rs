//! `--estimate`: what a run will take, from a few of its samples.

use megasim::control::{Block, Outcomes};
use megasim::parallel;
use megasim::study::classification::thread_time;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Samples of a stage that are run.
const SAMPLES: usize = 12;

/// What is known of a stage.
#[derive(Debug, Clone, Copy, Default)]
struct Stage {
    samples: usize,
    ran: usize,
    time: Duration,
}

impl Stage {
    /// Processor time of all samples.
    fn whole(&self) -> f64 {
        self.time.as_secs_f64() * self.samples as f64 / self.ran.max(1) as f64
    }
}

/// Runs some samples of each stage, and measures them.
#[derive(Debug)]
pub struct Estimate {
    stages: Mutex<BTreeMap<String, Stage>>,
    threads: usize,
    /// Memory before the first sample, in bytes, where the system says it.
    memory: Option<u64>,
}

impl Estimate {
    /// Of a run on some threads.
    pub fn new(threads: usize) -> Self {
        Self { stages: Mutex::default(), threads, memory: peak_memory() }
    }

    /// What the run will take.
    pub fn text(&self) -> String {
        let threads = self.threads;
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        // Points of a sweep have their own stages.
        let mut kinds: BTreeMap<&str, (usize, Stage, f64)> = BTreeMap::new();
        for (name, stage) in stages.iter() {
            let kind = name.rsplit(", ").next().unwrap_or(name);
            let (points, sum, time) = kinds.entry(kind).or_default();
            *points += 1;
            *time += stage.whole();
            sum.samples += stage.samples;
            sum.ran += stage.ran;
            sum.time += stage.time;
        }
        let mut text = String::new();
        for (kind, (points, sum, time)) in &kinds {
            let each = time / sum.samples.max(1) as f64;
            let at = if *points > 1 { format!(" at {points} points") } else { String::new() };
            text += &format!(
                "{kind}: {} samples{at}, {each:.4} s of processor time each (from {}): {time:.1} s\n",
                sum.samples, sum.ran
            );
        }
        let samples: f64 = kinds.values().map(|(_, _, time)| time).sum();
        let measured: Duration = kinds.values().map(|(_, sum, _)| sum.time).sum();
        let rest = process_time().saturating_sub(measured).as_secs_f64();
        let all = samples + rest;
        text += &format!("reading, conversion and the trained network: {rest:.1} s\n");
        text += &format!("processor time: {all:.1} s ({:.4} CPU hours)\n", all / 3600.0);
        let (hours, threads_text) = (all / threads as f64 / 3600.0, if threads == 1 { "thread" } else { "threads" });
        text += &format!("on a node with {threads} {threads_text}: {hours:.4} node hours\n");
        if let (Some(before), Some(now)) = (self.memory, peak_memory()) {
            let mb = |bytes: u64| bytes as f64 / 1e6;
            let each = now.saturating_sub(before) / threads as u64;
            text += &format!("memory: {:.0} MB, and {:.0} MB more for each thread\n", mb(before), mb(each));
        }
        text
    }
}

impl Outcomes for Estimate {
    fn run(&self, stage: &str, samples: Range<usize>, here: &(dyn Fn(&[usize]) -> Block + Sync)) -> Vec<Block> {
        let n = samples.len();
        let few = {
            let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
            let known = stages.entry(stage.into()).or_default();
            known.samples += n;
            SAMPLES.saturating_sub(known.ran).min(n)
        };
        let chosen: Vec<usize> = (0..few).map(|k| samples.start + k * n / few.max(1)).collect();
        let size = few.div_ceil(rayon::current_num_threads()).max(1);
        let chunks: Vec<&[usize]> = chosen.chunks(size).collect();
        let ran: Vec<(Block, Duration)> = parallel::map(0..chunks.len(), |number| {
            let start = thread_time();
            let block = here(chunks[number]);
            (block, thread_time().saturating_sub(start))
        });
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let known = stages.entry(stage.into()).or_default();
        known.ran += ran.iter().map(|(block, _)| block.samples.len()).sum::<usize>();
        known.time += ran.iter().map(|(_, time)| *time).sum::<Duration>();
        ran.into_iter().map(|(block, _)| block).collect()
    }

    fn is_partial(&self) -> bool {
        true
    }
}

/// Processor time of all threads so far.
#[cfg(unix)]
fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(not(unix))]
fn process_time() -> Duration {
    thread_time()
}

/// The most memory that this process had, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
