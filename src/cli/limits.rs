//! Where runs are stopped: the options that all commands that run networks share.

use super::output;
use clap::Args;
use megasim::engine::Limits;
use megasim::network::{Network, Tick};
use serde_json::{Value, json};

/// Where a run that does not end by itself is stopped.
#[derive(Debug, Clone, Copy, Args)]
pub struct RunLimits {
    /// Stop a run that has more events than this, and name the nodes with most of them; 1000000000, in studies
    /// 100000000 per sample
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_events: Option<u64>,
    /// Stop a run whose waiting and recorded events take more memory than this (17 and 33 bytes each), as '1500M' or
    /// '8G'; 1G, in studies 250M per sample
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_memory: Option<u64>,
}

impl RunLimits {
    /// Of one run.
    pub fn of_run(&self) -> Limits {
        self.or(Limits::default())
    }

    /// Of each sample of a study.
    pub fn of_samples(&self) -> Limits {
        self.or(Limits::of_samples())
    }

    fn or(&self, limits: Limits) -> Limits {
        Limits {
            events: self.max_events.unwrap_or(limits.events),
            memory: self.max_memory.unwrap_or(limits.memory),
            ..limits
        }
    }
}

/// Puts limits into the parameters of a record.
pub fn record(limits: Limits, parameters: &mut Value) {
    parameters["max_events"] = json!(limits.events);
    parameters["max_memory"] = json!(limits.memory);
}

/// Updates of neurons with equations in clocked steps from which a run says what it may take, before it starts.
const MANY_UPDATES: u64 = 100_000_000;

/// Warns of clocked steps without events that cannot be left out, as equations may change neurons in each of them.
pub fn warn_of_idle_steps(network: &Network, ticks: Tick, dt: Tick) {
    let with_equations = network.modules().iter().filter_map(|module| module.kind.neurons());
    let with_equations = with_equations.filter(|(_, neurons, _)| neurons.model().is_some());
    let neurons: u64 = with_equations.map(|(array, ..)| u64::from(array.nx) * u64::from(array.ny)).sum();
    let steps = u64::try_from(ticks / dt.max(1)).unwrap_or(0);
    if steps.saturating_mul(neurons) >= MANY_UPDATES {
        output::warn(format_args!(
            "clocked mode updates neurons with equations in each step until nothing changes them: up to {steps} steps \
                of {neurons} neurons for {ticks} ticks; a larger --dt makes fewer"
        ));
    }
}

/// Bytes: a number, with k, M, G or T for powers of a thousand, and B if one likes.
fn size(text: &str) -> Result<u64, String> {
    let refuse = || format!("expected a size above 0 as 1500M or 8G (bytes, k, M, G, T), found `{text}`");
    let number = text.trim().trim_end_matches(['b', 'B']);
    let digits = number.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match number[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 1e0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        _ => return Err(refuse()),
    };
    let value: f64 = digits.trim().parse().map_err(|_| refuse())?;
    let bytes = (value * factor).round();
    if (1.0..1e18).contains(&bytes) { Ok(bytes as u64) } else { Err(refuse()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes() {
        let sizes = ["1", "2k", "1500M", "1.5 GB", "8g", "1T"].map(size);
        let expected = [1, 2_000, 1_500_000_000, 1_500_000_000, 8_000_000_000, 1_000_000_000_000];
        assert_eq!(sizes, expected.map(Ok));
        for wrong in ["", "0", "-1", "x", "5X", "nan", "inf", "1e99"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_help_says_the_defaults_of_the_library() {
        let command = RunLimits::augment_args(clap::Command::new(""));
        let help = |id: &str| {
            let argument = command.get_arguments().find(|argument| argument.get_id() == id);
            argument.and_then(|argument| argument.get_help()).unwrap().to_string()
        };
        let (run, samples) = (Limits::default(), Limits::of_samples());
        let events = format!("; {}, in studies {} per sample", run.events, samples.events);
        assert!(help("max_events").ends_with(&events), "{}", help("max_events"));
        assert!(help("max_memory").ends_with("; 1G, in studies 250M per sample"), "{}", help("max_memory"));
        assert_eq!([size("1G"), size("250M")], [Ok(run.memory), Ok(samples.memory)]);
    }
}
