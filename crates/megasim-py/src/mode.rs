//! Modes by name.

use crate::error;
use megasim::engine::Mode;
use megasim::network::Tick;
use pyo3::prelude::*;

/// `event` or `clocked` with its steps.
pub fn mode(name: &str, dt: Tick) -> PyResult<Mode> {
    match name {
        "event" => Ok(Mode::Event),
        "clocked" if dt > 0 => Ok(Mode::Clocked { dt }),
        "clocked" => Err(error::message(format!("dt: expected a number of ticks above 0, found {dt}"))),
        _ => Err(error::message(format!("mode: expected 'event' or 'clocked', found '{name}'"))),
    }
}
