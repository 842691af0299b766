//! Mutated files through all readers: no panic, no abort, no hang, whatever the bytes.

use super::readers::{READERS, Reader, fixture, made};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longer than any small file may take, on a busy computer.
const PATIENCE: Duration = Duration::from_secs(60);

/// `MEGASIM_MUTATIONS` sets how many mutations all readers get together.
pub fn mutations() -> usize {
    std::env::var("MEGASIM_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(800)
}

/// Numbers that sizes and counts are replaced by.
const NUMBERS: [&str; 8] = ["0", "-1", "1e308", "nan", "4294967295", "9223372036854775807", "1000000000", "\u{1b}[31m"];

/// One to four changes: flipped bits, other bytes, a cut, a repetition, a splice with another file, another number.
pub fn mutate(random: &mut impl Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..random.random_range(1..=4) {
        let len = bytes.len();
        if len == 0 {
            return;
        }
        let (from, to) = (random.random_range(0..len), random.random_range(0..=len));
        let (from, to) = (from.min(to), to.max(from));
        match random.random_range(0..9) {
            0 | 1 => bytes[from] ^= 1 << random.random_range(0..8),
            2 => bytes[from] = random.random(),
            3 => bytes[from] = [0, 0xff, 0x7f, 0x80, b'(', b'{', b'"', 0x1b][random.random_range(0..8)],
            4 => bytes.truncate(to),
            5 => {
                let part = bytes[from..to.min(from + 256)].to_vec();
                bytes.splice(from..from, part.repeat(random.random_range(1..4)));
            }
            6 => drop(bytes.drain(from..to.min(from + 64))),
            7 => {
                let other = &others[random.random_range(0..others.len())];
                let cut = random.random_range(0..=other.len());
                bytes.truncate(from);
                bytes.extend(&other[cut..]);
            }
            _ => {
                // The next run of digits.
                let start = (from..len).find(|&at| bytes[at].is_ascii_digit());
                let Some(start) = start else { continue };
                let end = (start..len).find(|&at| !bytes[at].is_ascii_digit()).unwrap_or(len);
                bytes.splice(start..end, NUMBERS[random.random_range(0..NUMBERS.len())].bytes());
            }
        }
    }
}

fn files(reader: &Reader) -> Vec<Vec<u8>> {
    let files: Vec<_> = reader.fixtures.iter().map(|name| fixture(name)).chain(made(reader.name)).collect();
    assert!(!files.is_empty(), "{}: no file", reader.name);
    files
}

#[test]
fn every_reader_takes_a_file_of_its_own() {
    for reader in READERS {
        let accepted = files(reader).iter().any(|bytes| {
            let directory = tempfile::tempdir().unwrap();
            let result = (reader.read)(directory.path(), bytes);
            result.inspect_err(|message| eprintln!("{}: {message}", reader.name)).is_ok()
        });
        assert!(accepted, "{}", reader.name);
    }
}

#[test]
fn mutated_files_end_in_a_result_or_a_message() {
    let seed = std::env::var("MEGASIM_MUTATION_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1u64);
    let rounds = mutations().div_ceil(READERS.len());
    let running: Arc<Mutex<Option<(String, Instant)>>> = Arc::default();
    let finished = Arc::new(AtomicUsize::new(0));
    let watched = Arc::clone(&running);
    let kept = std::env::var_os("MEGASIM_MUTATION_FILE");
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let hangs = match &*watched.lock().unwrap() {
                Some((case, since)) if since.elapsed() > PATIENCE => Some(case.clone()),
                _ => None,
            };
            if let Some(case) = hangs {
                eprintln!("{case}: does not end");
                std::process::abort();
            }
        }
    });
    for (number, reader) in READERS.iter().enumerate() {
        let files = files(reader);
        let mut refused = 0;
        let mut slowest = Duration::ZERO;
        for round in 0..rounds {
            let mut random = ChaCha8Rng::seed_from_u64(seed << 32 | (number << 20 | round) as u64);
            let mut bytes = files[round % files.len()].clone();
            mutate(&mut random, &mut bytes, &files);
            let case = format!("{} round {round} of seed {seed}", reader.name);
            // For who looks for what ended the whole process.
            if let Some(path) = &kept {
                std::fs::write(path, &bytes).unwrap();
            }
            let start = Instant::now();
            *running.lock().unwrap() = Some((case.clone(), start));
            let directory = tempfile::tempdir().unwrap();
            let result = std::panic::catch_unwind(|| (reader.read)(directory.path(), &bytes));
            *running.lock().unwrap() = None;
            slowest = slowest.max(start.elapsed());
            match result {
                Ok(Ok(())) => {}
                Ok(Err(message)) => {
                    assert!(!message.is_empty(), "{case}: refused without a message");
                    assert!(message.len() < 1 << 16, "{case}: a message of {} bytes", message.len());
                    refused += 1;
                }
                Err(_) => panic!("{case}: panicked"),
            }
            finished.fetch_add(1, Ordering::Relaxed);
        }
        println!("{:20} {refused:6} of {rounds} refused, slowest {slowest:.1?}", reader.name);
    }
    assert_eq!(finished.load(Ordering::Relaxed), rounds * READERS.len());
}
