//! State files (`*.stt`): the state of a module at the start of a run.

use super::block::{Block, Fields};
use super::error::TextError;
use super::text::{Scanner, TextWriter};
use crate::network::parameters::STATE;
use crate::network::{Tick, Timing};
use std::io::{self, Write};

/// Reads a state file: `time_busy_initial`, in ticks.
///
/// # Errors
/// The line at fault.
pub fn parse_state(text: &[u8]) -> Result<Tick, TextError> {
    let mut block = Block::new(Scanner::new(text), &|_| {});
    let parsed = block.head().and_then(|()| {
        let mut timing = Timing::default();
        let first = block.read("the state", &mut [&mut Fields { table: STATE, of: &mut timing }])?;
        block.tail()?;
        if timing.time_busy_initial < 0 {
            return Err(block.value(first, STATE[0].key).refuse("0 or more"));
        }
        Ok(timing.time_busy_initial)
    });
    parsed.map_err(|flaw| flaw.locate(text))
}

/// Writes a state file.
///
/// # Errors
/// What the writer says.
pub fn write_state(time_busy_initial: Tick, out: &mut dyn Write) -> io::Result<()> {
    let mut text = TextWriter::new(out);
    text.line(".integers")?;
    text.value(STATE[0].key, time_busy_initial)?;
    text.line(".floats")?;
    text.flush()
}
