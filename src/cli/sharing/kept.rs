//! Outcomes of samples in a file that grows block by block, so that whatever ends the program leaves all blocks but the
//! last.
//!
//! The file is a list of entries: the length of the entry (4 bytes, little endian), the first 8 bytes of its SHA-256,
//! and the entry, as `postcard` writes it.

use super::Shard;
use megasim::control::{Block, Outcomes};
use megasim::parallel;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes before an entry.
const HEAD: u64 = 12;

/// Most samples of a block: what is lost where the program is killed.
const MOST_SAMPLES: usize = 16;

/// One entry of the file.
#[derive(Debug, Serialize, Deserialize)]
enum Entry {
    /// How many samples of a stage, from a first one on, are to run here.
    Planned { stage: String, first: usize, samples: usize },
    /// Samples that ran.
    Ran { stage: String, block: Block },
}

/// Where the samples of a block are.
#[derive(Debug, Clone)]
struct Place {
    samples: Vec<usize>,
    file: usize,
    start: u64,
}

/// What files hold of a stage.
#[derive(Debug, Default)]
struct Stage {
    places: Vec<Place>,
    /// Samples that ran.
    ran: usize,
    /// By first sample.
    planned: BTreeMap<usize, usize>,
}

/// Samples of a stage that are done, of those that are to be done as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The stage.
    pub stage: String,
    /// Samples that ran.
    pub done: usize,
    /// Samples that were to run.
    pub planned: usize,
}

/// Outcomes in files, of which the last may be written.
pub struct KeptOutcomes {
    files: Vec<Mutex<File>>,
    stages: Mutex<BTreeMap<String, Stage>>,
    writer: Option<Mutex<File>>,
    shard: Shard,
    fault: Mutex<Option<String>>,
    /// Says which samples are run though others were to keep them.
    warns: bool,
}

/// A poisoned lock is one whose holder panicked, which ends the program anyway.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check(entry: &[u8]) -> [u8; 8] {
    let hash = Sha256::digest(entry);
    std::array::from_fn(|k| hash[k])
}

/// The next entry; none at the end, or where the rest is no entry.
fn next(file: &mut impl Read) -> io::Result<Option<(Entry, u64)>> {
    let mut head = [0; HEAD as usize];
    let whole = |read: io::Result<()>| match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    };
    if !whole(file.read_exact(&mut head))? {
        return Ok(None);
    }
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let mut entry = Vec::new();
    // What a damaged length asks for is not set aside before it is there.
    file.take(length.into()).read_to_end(&mut entry)?;
    if entry.len() != length as usize || check(&entry) != head[4..] {
        return Ok(None);
    }
    Ok(postcard::from_bytes(&entry).ok().map(|entry| (entry, HEAD + u64::from(length))))
}

impl KeptOutcomes {
    /// What files hold; the last one goes on, if it is `written`.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn open(paths: &[impl AsRef<Path>], written: bool, shard: Shard) -> io::Result<Self> {
        let mut stages: BTreeMap<String, Stage> = BTreeMap::new();
        let (mut files, mut writer) = (Vec::new(), None);
        for (number, path) in paths.iter().enumerate() {
            let is_written = written && number + 1 == paths.len();
            let open = |append| OpenOptions::new().read(true).write(append).create(append).truncate(false).open(path);
            let mut reader = BufReader::new(open(is_written)?);
            let mut start = 0;
            while let Some((entry, length)) = next(&mut reader)? {
                match entry {
                    Entry::Planned { stage, first, samples } => {
                        stages.entry(stage).or_default().planned.insert(first, samples);
                    }
                    Entry::Ran { stage, block } => {
                        let samples: Vec<_> = block.samples.iter().map(|(sample, _)| *sample).collect();
                        let stage = stages.entry(stage).or_default();
                        stage.ran += samples.len();
                        stage.places.push(Place { samples, file: number, start });
                    }
                }
                start += length;
            }
            files.push(Mutex::new(reader.into_inner()));
            if is_written {
                let mut file = open(true)?;
                // What was written last may not be whole.
                file.set_len(start)?;
                file.seek(SeekFrom::End(0))?;
                writer = Some(Mutex::new(file));
            }
        }
        Ok(Self {
            files,
            stages: Mutex::new(stages),
            writer,
            shard,
            fault: Mutex::default(),
            warns: !written && !paths.is_empty(),
        })
    }

    /// How far each stage is.
    pub fn progress(&self) -> Vec<Progress> {
        let stages = lock(&self.stages);
        let progress = stages.iter().map(|(stage, of)| Progress {
            stage: stage.clone(),
            done: of.ran,
            planned: of.planned.values().sum(),
        });
        progress.collect()
    }

    /// What went wrong, if something did.
    pub fn fault(&self) -> Option<String> {
        lock(&self.fault).clone()
    }

    /// Which part is run here.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// Has all that was written on the disk.
    ///
    /// # Errors
    /// If the system cannot.
    pub fn sync(&self) -> io::Result<()> {
        self.writer.iter().try_for_each(|file| lock(file).sync_all())
    }

    fn failed(&self, what: String) {
        lock(&self.fault).get_or_insert(what);
    }

    /// The outcomes of some samples that are in files.
    pub fn known(&self, stage: &str, samples: &Range<usize>) -> Vec<Block> {
        let places = lock(&self.stages).get(stage).map(|of| of.places.clone()).unwrap_or_default();
        let wanted = places.into_iter().filter(|place| place.samples.iter().any(|sample| samples.contains(sample)));
        let mut blocks = Vec::new();
        for place in wanted {
            let mut file = lock(&self.files[place.file]);
            let entry = file.seek(SeekFrom::Start(place.start)).and_then(|_| next(&mut *file));
            match entry {
                Ok(Some((Entry::Ran { mut block, .. }, _))) => {
                    block.samples.retain(|(sample, _)| samples.contains(sample));
                    blocks.push(block);
                }
                Ok(_) => self.failed(format!("outcomes of stage '{stage}' changed while they were read")),
                Err(error) => self.failed(format!("outcomes of stage '{stage}' cannot be read: {error}")),
            }
        }
        blocks
    }

    /// Those of some samples that are not in files, and are to run here.
    pub fn left(&self, samples: &Range<usize>, known: &[Block]) -> Vec<usize> {
        let known: HashSet<usize> =
            known.iter().flat_map(|block| block.samples.iter().map(|(sample, _)| *sample)).collect();
        samples.clone().filter(|sample| self.shard.has(*sample) && !known.contains(sample)).collect()
    }

    /// Notes how many samples of a stage are to run here.
    pub fn plan(&self, stage: &str, samples: &Range<usize>) {
        let n = samples.clone().filter(|sample| self.shard.has(*sample)).count();
        let (stage, first) = (stage.to_string(), samples.start);
        let is_known = lock(&self.stages).entry(stage.clone()).or_default().planned.insert(first, n) == Some(n);
        if !is_known {
            self.append(&Entry::Planned { stage, first, samples: n });
        }
    }

    /// Keeps what ran.
    pub fn keep(&self, stage: &str, block: &Block) {
        if !block.samples.is_empty() && self.writer.is_some() {
            self.append(&Entry::Ran { stage: stage.into(), block: block.clone() });
            lock(&self.stages).entry(stage.into()).or_default().ran += block.samples.len();
        }
    }

    fn append(&self, entry: &Entry) {
        let Some(writer) = &self.writer else { return };
        let entry = match postcard::to_allocvec(entry) {
            Ok(entry) => entry,
            Err(error) => return self.failed(format!("outcomes cannot be kept: {error}")),
        };
        let Ok(length) = u32::try_from(entry.len()) else {
            return self.failed("outcomes of one block take more than 4 GB and cannot be kept".into());
        };
        let whole = [&length.to_le_bytes(), &check(&entry)[..], &entry].concat();
        let mut file = lock(writer);
        if let Err(error) = file.write_all(&whole) {
            self.failed(format!("outcomes cannot be written: {error}"));
        }
    }

    /// Samples that one thread runs before they are kept.
    pub fn block_size(samples: usize, threads: usize) -> usize {
        (samples / (4 * threads.max(1))).clamp(1, MOST_SAMPLES)
    }
}

impl Outcomes for KeptOutcomes {
    fn run(&self, stage: &str, samples: Range<usize>, here: &(dyn Fn(&[usize]) -> Block + Sync)) -> Vec<Block> {
        let mut blocks = self.known(stage, &samples);
        let left = self.left(&samples, &blocks);
        self.plan(stage, &samples);
        if self.warns && !left.is_empty() {
            super::warn_of_left(stage, left.len());
        }
        let size = Self::block_size(left.len(), rayon::current_num_threads());
        let chunks: Vec<&[usize]> = left.chunks(size).collect();
        blocks.extend(parallel::map(0..chunks.len(), |number| {
            let block = here(chunks[number]);
            self.keep(stage, &block);
            block
        }));
        blocks
    }

    fn is_partial(&self) -> bool {
        self.shard != Shard::WHOLE
    }

    fn damaged(&self, stage: &str, sample: usize) {
        self.failed(format!("the outcome of sample {sample} in stage '{stage}' is not one of this study"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(kept: &KeptOutcomes, samples: Range<usize>) -> Vec<usize> {
        let here = |numbers: &[usize]| Block {
            samples: numbers.iter().map(|&k| (k, vec![k as u8])).collect(),
            ..Block::default()
        };
        let mut all: Vec<usize> =
            kept.run("squares", samples, &here).iter().flat_map(|it| it.samples.iter().map(|(k, _)| *k)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn shards_share_all_samples_once() {
        let place = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..3).map(|k| place.path().join(k.to_string())).collect();
        for (k, path) in paths.iter().enumerate() {
            let shard: Shard = format!("{}/3", k + 1).parse().unwrap();
            let kept = KeptOutcomes::open(&[path], true, shard).unwrap();
            assert_eq!(run(&kept, 10..40), (10..40).filter(|sample| sample % 3 == k).collect::<Vec<_>>());
            assert_eq!(kept.fault(), None);
        }
        let all = KeptOutcomes::open(&paths, false, Shard::WHOLE).unwrap();
        assert_eq!(all.progress()[0].done, 30);
        assert_eq!(run(&all, 12..38), (12..38).collect::<Vec<_>>());
    }

    #[test]
    fn a_file_that_ends_anywhere_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("outcomes");
        run(&KeptOutcomes::open(&[&path], true, Shard::WHOLE).unwrap(), 0..9);
        let whole = std::fs::read(&path).unwrap();
        for end in (0..whole.len()).step_by(3) {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert_eq!(
                run(&KeptOutcomes::open(&[&path], true, Shard::WHOLE).unwrap(), 0..9),
                (0..9).collect::<Vec<_>>()
            );
            let again = KeptOutcomes::open(&[&path], false, Shard::WHOLE).unwrap();
            assert_eq!(again.progress()[0], Progress { stage: "squares".into(), done: 9, planned: 9 }, "{end}");
        }
        // A byte that changed ends what is believed.
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert!(KeptOutcomes::open(&[&path], false, Shard::WHOLE).unwrap().progress()[0].done < 9);
    }
}
