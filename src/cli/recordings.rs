//! Event recordings: which part of them is taken.

use clap::{Args, ValueEnum};
use megasim::dataset::recording::{Selection, Signs};
use serde_json::{Value, json};

/// What is taken of an event recording.
#[derive(Debug, Clone, Args)]
pub struct RecordingArguments {
    /// For event recordings: keep this part of the sensor
    #[arg(long, value_name = "LEFT,TOP,WIDTH,HEIGHT", value_parser = rectangle)]
    crop: Option<(u16, u16, u16, u16)>,
    /// For event recordings: this many pixels along each axis become one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    downsample: u16,
    /// For event recordings: darker and brighter as two maps, as spikes of two signs, or alike
    #[arg(long, value_enum, default_value_t = SignArgument::Channels)]
    polarity: SignArgument,
    /// For event recordings: from this millisecond after its first event on
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32))]
    from: Option<u32>,
    /// For event recordings: this many milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    length: Option<u32>,
    /// For event recordings: windows of this many events, of which --window is taken
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    events: Option<u32>,
    /// The number of the window, from 0
    #[arg(long, value_name = "K", default_value_t = 0, requires = "events")]
    window: u32,
}

/// `--polarity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SignArgument {
    Channels,
    Signed,
    Alike,
}

fn rectangle(text: &str) -> Result<(u16, u16, u16, u16), String> {
    let numbers: Result<Vec<u16>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    match numbers.as_deref() {
        Ok(&[left, top, width, height]) if width > 0 && height > 0 => Ok((left, top, width, height)),
        _ => Err(format!("expected LEFT,TOP,WIDTH,HEIGHT, found '{text}'")),
    }
}

impl RecordingArguments {
    /// The first `events` events of each recording, or all, of which `downsample` pixels along each axis become one.
    pub fn new(downsample: u16, signs: Signs, events: Option<u32>) -> Self {
        let polarity = match signs {
            Signs::Channels => SignArgument::Channels,
            Signs::Signed => SignArgument::Signed,
            Signs::Alike => SignArgument::Alike,
        };
        Self { crop: None, downsample, polarity, from: None, length: None, events, window: 0 }
    }

    /// What is taken.
    pub fn selection(&self, ticks_per_ms: u32) -> Selection {
        let us = |ms: u32| i64::from(ms) * 1000;
        Selection {
            crop: self.crop,
            downsample: self.downsample,
            signs: match self.polarity {
                SignArgument::Channels => Signs::Channels,
                SignArgument::Signed => Signs::Signed,
                SignArgument::Alike => Signs::Alike,
            },
            time: (self.from.is_some() || self.length.is_some())
                .then(|| (us(self.from.unwrap_or(0)), self.length.map_or(i64::MAX, us))),
            count: self.events.map(|events| (self.window as usize, events as usize)),
            ticks_per_ms,
        }
    }

    /// What the record of a run says.
    pub fn parameters(&self) -> Value {
        json!({
            "crop": self.crop.map(|(left, top, width, height)| [left, top, width, height]),
            "downsample": self.downsample,
            "polarity": self.polarity.to_possible_value().map(|value| value.get_name().to_string()),
            "from": self.from,
            "length": self.length,
            "events": self.events,
            "window": self.window,
        })
    }
}
