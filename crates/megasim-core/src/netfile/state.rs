//! State files (`*.stt`): the state of a module at the start of a run.

use super::block::Block;
use super::error::TextError;
use super::text::{Scanner, TextWriter};
use crate::network::Tick;
use std::io::{self, Write};

/// Reads a state file: `time_busy_initial`, in ticks.
///
/// # Errors
/// The line at fault.
pub fn parse_state(text: &[u8]) -> Result<Tick, TextError> {
    let mut block = Block::new(Scanner::new(text), &|_| {});
    let parsed = block.head().and_then(|()| {
        let [time] = block.keys("the state", ["time_busy_initial"], 1, 0)?;
        block.tail()?;
        if time.number < 0 {
            return Err(time.refuse("0 or more"));
        }
        Ok(time.number)
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
    text.value("time_busy_initial", time_busy_initial)?;
    text.line(".floats")?;
    text.flush()
}
