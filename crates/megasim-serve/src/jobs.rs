//! A queue of jobs, each of which is the program as a child process, one after the other.

use super::Program;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of output that are kept of a job; of more, the last.
const MOST_OUTPUT: usize = 256 * 1024;

/// Jobs that are kept; of more, the oldest that are done go.
const MOST_JOBS: usize = 200;

/// How long a job that was asked to stop may take for it.
const GRACE: Duration = Duration::from_secs(3);

/// The variable that has the program say on standard error how far it is, one line of JSON each, and its value.
const PROGRESS: (&str, &str) = ("MEGASIM_PROGRESS", "json");

/// Bytes at the end of the output in which its last line is looked for.
const MOST_LAST: usize = 4096;

/// What such a line starts with.
const MARK: &str = "{\"progress\":";

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The part of the work.
    pub part: String,
    /// Units that are done.
    pub done: u64,
    /// All units.
    pub of: u64,
}

#[derive(Deserialize)]
struct ProgressLine {
    progress: Progress,
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Others come first.
    Waiting,
    /// It runs.
    Running,
    /// It was asked to stop.
    Stopping,
    /// It ended with exit status 0.
    Done,
    /// It ended with another.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// A job, for the page.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// Its number, from 1.
    pub number: u64,
    /// The command.
    pub command: String,
    /// The command line, as it is typed.
    pub line: String,
    /// What became of it.
    pub state: State,
    /// How far it is, while it runs.
    pub progress: Option<Progress>,
    /// Seconds that it has run.
    pub seconds: f64,
    /// The exit status, where it has one.
    pub status: Option<i32>,
    /// Paths that its options name as results.
    pub results: Vec<String>,
    /// The last line of its output.
    pub last: String,
}

struct Entry {
    job: Job,
    words: Vec<String>,
    is_short: bool,
    output: VecDeque<u8>,
    started: Option<Instant>,
    /// The process, which leads its own group.
    group: Option<u32>,
}

impl Entry {
    fn shown(&self) -> Job {
        let mut job = self.job.clone();
        if let Some(started) = self.started.filter(|_| matches!(job.state, State::Running | State::Stopping)) {
            job.seconds = started.elapsed().as_secs_f64();
        }
        let end: Vec<u8> = self.output.range(self.output.len().saturating_sub(MOST_LAST)..).copied().collect();
        let text = String::from_utf8_lossy(&end);
        job.last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_string();
        job
    }
}

#[derive(Default)]
struct Queue {
    entries: Vec<Entry>,
    last: u64,
    ended: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    program: Box<Program>,
    directory: PathBuf,
}

/// The queue, and threads that work it off: one for studies, one for what takes seconds.
pub struct Jobs(Arc<Shared>);

/// What a job is made of.
pub struct Order {
    /// The command.
    pub command: String,
    /// The command line, as it is typed.
    pub line: String,
    /// The words behind the program's name.
    pub words: Vec<String>,
    /// Paths that its options name as results.
    pub results: Vec<String>,
    /// Whether it takes seconds, and does not wait for studies.
    pub is_short: bool,
}

impl Jobs {
    /// Starts the threads; jobs run `program` in `directory`.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub fn start(program: Box<Program>, directory: PathBuf) -> io::Result<Self> {
        let (queue, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { queue, changed, program, directory });
        for is_short in [false, true] {
            let worker = shared.clone();
            thread::Builder::new().name("jobs".into()).spawn(move || worker.work(is_short))?;
        }
        Ok(Self(shared))
    }

    /// Adds a job; its number, or none where too many others wait.
    pub fn add(&self, order: Order) -> Option<u64> {
        let mut queue = self.0.lock();
        if queue.entries.len() >= MOST_JOBS {
            let oldest = queue.entries.iter().position(|entry| entry.job.state.is_over())?;
            queue.entries.remove(oldest);
        }
        queue.last += 1;
        let number = queue.last;
        let Order { command, line, words, results, is_short } = order;
        let (state, last) = (State::Waiting, String::new());
        let job = Job { number, command, line, state, progress: None, seconds: 0.0, status: None, results, last };
        queue.entries.push(Entry { job, words, is_short, output: VecDeque::new(), started: None, group: None });
        self.0.changed.notify_all();
        Some(number)
    }

    /// All jobs, the newest last.
    pub fn list(&self) -> Vec<Job> {
        self.0.lock().entries.iter().map(Entry::shown).collect()
    }

    /// A job and its output.
    pub fn output(&self, number: u64) -> Option<(Job, String)> {
        let queue = self.0.lock();
        let entry = queue.entries.iter().find(|entry| entry.job.number == number)?;
        let output: Vec<u8> = entry.output.iter().copied().collect();
        Some((entry.shown(), String::from_utf8_lossy(&output).into_owned()))
    }

    /// Takes a job out of the queue, or has it stop; whether there is such a job that is not over.
    pub fn cancel(&self, number: u64) -> bool {
        let mut queue = self.0.lock();
        let Some(entry) = queue.entries.iter_mut().find(|entry| entry.job.number == number) else { return false };
        match entry.job.state {
            State::Waiting => entry.job.state = State::Cancelled,
            State::Running => {
                entry.job.state = State::Stopping;
                let Some(group) = entry.group else { return true };
                signal(group, Signal::Stop);
                let shared = self.0.clone();
                thread::spawn(move || {
                    thread::sleep(GRACE);
                    let queue = shared.lock();
                    let runs = |entry: &&Entry| entry.job.number == number && entry.group == Some(group);
                    if queue.entries.iter().any(|entry| runs(&entry)) {
                        signal(group, Signal::Kill);
                    }
                });
            }
            State::Stopping => entry.group.iter().for_each(|&group| signal(group, Signal::Kill)),
            State::Done | State::Failed | State::Cancelled => return false,
        }
        self.0.changed.notify_all();
        true
    }

    /// Ends the job that runs, and starts no other.
    pub fn end(&self) {
        let mut queue = self.0.lock();
        queue.ended = true;
        let groups: Vec<u32> = queue.entries.iter().filter_map(|entry| entry.group).collect();
        groups.iter().for_each(|&group| signal(group, Signal::Stop));
        drop(queue);
        self.0.changed.notify_all();
        let deadline = Instant::now() + GRACE;
        while self.0.lock().entries.iter().any(|entry| entry.group.is_some()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        let left: Vec<u32> = self.0.lock().entries.iter().filter_map(|entry| entry.group).collect();
        left.into_iter().for_each(|group| signal(group, Signal::Kill));
    }
}

impl State {
    fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // What a thread that panicked left is whole: each change is one assignment.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.lock().entries.iter_mut().find(|entry| entry.job.number == number) {
            change(entry);
        }
    }

    fn work(self: &Arc<Self>, is_short: bool) {
        loop {
            let (number, words) = {
                let mut queue = self.lock();
                loop {
                    if queue.ended {
                        return;
                    }
                    let is_next = |entry: &&mut Entry| entry.job.state == State::Waiting && entry.is_short == is_short;
                    if let Some(entry) = queue.entries.iter_mut().find(is_next) {
                        entry.job.state = State::Running;
                        entry.started = Some(Instant::now());
                        break (entry.job.number, entry.words.clone());
                    }
                    queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
            };
            let status = self.run(number, &words);
            self.change(number, |entry| {
                entry.group = None;
                entry.job.seconds = entry.started.map_or(0.0, |started| started.elapsed().as_secs_f64());
                entry.job.progress = None;
                let was_asked = entry.job.state == State::Stopping;
                match status {
                    Ok(status) => {
                        entry.job.status = status;
                        entry.job.state = match status {
                            _ if was_asked => State::Cancelled,
                            Some(0) => State::Done,
                            _ => State::Failed,
                        };
                    }
                    Err(error) => {
                        entry.push(format!("the program cannot be started: {error}\n").as_bytes());
                        entry.job.state = State::Failed;
                    }
                }
            });
        }
    }

    fn run(self: &Arc<Self>, number: u64, words: &[String]) -> io::Result<Option<i32>> {
        let mut command = (self.program)()?;
        command.args(words).current_dir(&self.directory).env(PROGRESS.0, PROGRESS.1);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child: Child = command.spawn()?;
        let group = child.id();
        let (out, error) = (child.stdout.take(), child.stderr.take());
        self.change(number, |entry| {
            entry.group = Some(group);
            // It was cancelled, or the server ended, before it had a process.
            if entry.job.state == State::Stopping {
                signal(group, Signal::Stop);
            }
        });
        if self.lock().ended {
            signal(group, Signal::Stop);
        }
        let readers = [out.map(|pipe| self.read(number, pipe)), error.map(|pipe| self.read(number, pipe))];
        let status = child.wait()?;
        readers.into_iter().flatten().for_each(|reader| drop(reader.join()));
        Ok(status.code())
    }

    /// Takes lines until the pipe ends.
    fn read(self: &Arc<Self>, number: u64, pipe: impl Read + Send + 'static) -> thread::JoinHandle<()> {
        let shared = self.clone();
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            loop {
                line.clear();
                // A line without an end is taken in parts.
                match pipe.by_ref().take(MOST_OUTPUT as u64).read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                let text = std::str::from_utf8(&line).ok().filter(|line| line.starts_with(MARK));
                match text.and_then(|line| serde_json::from_str::<ProgressLine>(line).ok()) {
                    Some(ProgressLine { progress }) => {
                        shared.change(number, |entry| entry.job.progress = Some(progress));
                    }
                    None => shared.change(number, |entry| entry.push(&line)),
                }
            }
        })
    }
}

impl Entry {
    fn push(&mut self, bytes: &[u8]) {
        self.output.extend(bytes);
        let over = self.output.len().saturating_sub(MOST_OUTPUT);
        self.output.drain(..over);
    }
}

enum Signal {
    /// It may clean up.
    Stop,
    Kill,
}

/// Sends a signal to all processes of a group.
#[cfg(unix)]
fn signal(group: u32, signal: Signal) {
    use rustix::process::{Pid, Signal as Of, kill_process_group};
    let signal = match signal {
        Signal::Stop => Of::TERM,
        Signal::Kill => Of::KILL,
    };
    if let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process_group(group, signal);
    }
}

/// Ends a process and those that it started.
#[cfg(not(unix))]
fn signal(group: u32, _: Signal) {
    let _ = std::process::Command::new("taskkill").args(["/T", "/F", "/PID", &group.to_string()]).status();
}
