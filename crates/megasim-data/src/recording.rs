//! Event recordings: AEDAT 2.0, 3.1 and 4, N-MNIST's and N-Caltech's binary files, CSV.
//!
//! A file is read whole and checked: one that ends within an event or packet, or whose header says what its content
//! does not hold, is refused. Coordinates are those of the file (the origin of AEDAT 2.0 is the lower left corner, of
//! the others the upper left).

mod aedat2;
mod aedat3;
mod aedat4;
mod binary;
mod csv;
mod set;

pub use set::Recordings;

use megasim_core::network::{Polarity, Stimulus, StimulusEvent, Tick};
use std::io;
use std::path::{Path, PathBuf};

/// One change of brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameraEvent {
    /// Microseconds.
    pub t: i64,
    /// Column.
    pub x: u16,
    /// Row.
    pub y: u16,
    /// Brighter, or darker.
    pub on: bool,
}

/// What a camera saw, in time order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Columns of the sensor; where the file does not say, one more than the largest column.
    pub width: u16,
    /// Rows, likewise.
    pub height: u16,
    /// The events.
    pub events: Vec<CameraEvent>,
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system did not give the file.
    #[error("{path}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is damaged, or no recording.
    #[error("{path}: byte {at}: {message}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: usize,
        /// What was expected and what was found.
        message: String,
    },
}

/// A fault of a format, at a byte.
#[derive(Debug, PartialEq, Eq)]
struct RecordingError {
    at: usize,
    message: String,
}

fn flaw(at: usize, message: impl Into<String>) -> RecordingError {
    RecordingError { at, message: message.into() }
}

impl Recording {
    /// Reads a file; its first line tells the version of AEDAT, its ending the others: `.bin` and `.csv` or `.txt`.
    ///
    /// # Errors
    /// If it cannot be read, is truncated, or contradicts itself.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let content = std::fs::read(path).map_err(|source| Error::Unreadable { path: path.into(), source })?;
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let damaged = |RecordingError { at, message }| Error::Damaged { path: path.into(), at, message };
        let (size, mut events) = match &content[..] {
            text if text.starts_with(b"#!AER-DAT2.0") => aedat2::read(text),
            text if text.starts_with(b"#!AER-DAT3.1") => aedat3::read(text),
            text if text.starts_with(b"#!AER-DAT4.0") => aedat4::read(text),
            text if text.starts_with(b"#!AER-DAT") => {
                let version = String::from_utf8_lossy(&text[9..text.len().min(14)]);
                Err(flaw(9, format!("expected AEDAT 2.0, 3.1 or 4.0, found {}", version.trim())))
            }
            bytes if ending == "bin" => binary::read(bytes),
            text if ending == "csv" || ending == "txt" => csv::read(text),
            _ => Err(flaw(0, "expected an AEDAT file ('#!AER-DAT...'), or one that ends in .bin, .csv or .txt")),
        }
        .map_err(damaged)?;
        // Cameras write packets of several streams, which overlap a little.
        events.sort_by_key(|event| event.t);
        let most = |of: fn(&CameraEvent) -> u16| events.iter().map(of).max().map_or(0, |most| most.saturating_add(1));
        let (width, height) = size.unwrap_or((most(|event| event.x), most(|event| event.y)));
        if let Some(event) = events.iter().find(|event| event.x >= width || event.y >= height) {
            let message =
                format!("expected events on a sensor of {width} x {height}, found one at ({}, {})", event.x, event.y);
            return Err(damaged(flaw(0, message)));
        }
        Ok(Self { width, height, events })
    }
}

/// How the sign of a change is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signs {
    /// Two maps: darker, brighter.
    Channels,
    /// One map, spikes of both signs.
    Signed,
    /// One map, all spikes alike.
    Alike,
}

/// Which part of a recording becomes a stimulus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// Left, top, width and height of what is kept of the sensor.
    pub crop: Option<(u16, u16, u16, u16)>,
    /// Pixels along each axis that become one, at least 1.
    pub downsample: u16,
    /// What becomes of signs.
    pub signs: Signs,
    /// Microseconds from the first event on, and how many; the window's start becomes tick 0.
    pub time: Option<(i64, i64)>,
    /// A window of events (after crop and time): its number from 0, and its size in events. Its first event is at
    /// tick 0.
    pub count: Option<(usize, usize)>,
    /// Ticks per millisecond.
    pub ticks_per_ms: u32,
}

impl Selection {
    /// Width and height of the maps.
    pub fn size(&self, recording: &Recording) -> (u16, u16) {
        let (_, _, width, height) = self.crop.unwrap_or((0, 0, recording.width, recording.height));
        (width.div_ceil(self.downsample.max(1)), height.div_ceil(self.downsample.max(1)))
    }

    /// The stimuli, one per map.
    pub fn stimuli(&self, recording: &Recording) -> Vec<Stimulus> {
        let (left, top, width, height) = self.crop.unwrap_or((0, 0, recording.width, recording.height));
        let start = recording.events.first().map_or(0, |event| event.t);
        let (from, length) = self.time.unwrap_or((0, i64::MAX));
        let first = start.saturating_add(from);
        let kept = recording.events.iter().filter(|event| {
            let inside = |at: u16, from: u16, n: u16| at >= from && at - from < n;
            let seen = inside(event.x, left, width) && inside(event.y, top, height);
            seen && event.t >= first && event.t.saturating_sub(first) < length
        });
        let mut kept: Vec<CameraEvent> = kept.copied().collect();
        let mut zero = first;
        if let Some((number, size)) = self.count {
            kept = kept.chunks(size.max(1)).nth(number).unwrap_or_default().to_vec();
            zero = kept.first().map_or(0, |event| event.t);
        }
        let maps = if self.signs == Signs::Channels { 2 } else { 1 };
        let stimuli = (0..maps).map(|map| {
            let of_map = kept.iter().filter(|event| maps == 1 || usize::from(event.on) == map);
            Stimulus::from_events(of_map.map(|event| {
                let ticks = (i128::from(event.t) - i128::from(zero)) * i128::from(self.ticks_per_ms) / 1000;
                let scale = |at: u16, from: u16| i32::from((at - from) / self.downsample.max(1));
                let negative = self.signs == Signs::Signed && !event.on;
                StimulusEvent {
                    t_pre: Tick::try_from(ticks).unwrap_or(Tick::MAX),
                    x: scale(event.x, left),
                    y: scale(event.y, top),
                    polarity: if negative { Polarity::Negative } else { Polarity::Positive },
                }
            }))
        });
        stimuli.collect()
    }
}

/// Bytes of a fixed number from here on.
fn take<const N: usize>(bytes: &[u8], at: usize, what: &str) -> Result<[u8; N], RecordingError> {
    let found = bytes.get(at..at.saturating_add(N)).and_then(|bytes| bytes.try_into().ok());
    found.ok_or_else(|| flaw(at, format!("expected {N} bytes of {what}, found the end of the file")))
}

/// The lines that start with '#', and where they end.
fn comments(bytes: &[u8]) -> (Vec<String>, usize) {
    let (mut lines, mut at) = (Vec::new(), 0);
    while bytes.get(at) == Some(&b'#') {
        let end = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |n| at + n + 1);
        lines.push(String::from_utf8_lossy(&bytes[at..end]).trim().to_string());
        at = end;
    }
    (lines, at)
}
