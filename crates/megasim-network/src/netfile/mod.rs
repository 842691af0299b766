//! Netfiles: text to and from [`Network`](crate::network::Network), [`Stimulus`](crate::network::Stimulus) and
//! [`EventLog`](crate::network::EventLog). The format is described in `docs/netfiles.md`.
//!
//! [`read`] takes a schematic and the files that it names, [`write()`] makes them; beneath, one pair of functions a
//! kind of file works on bytes. Where a file is merely untidy, what can be meant is taken, sometimes with a
//! [`Warning`]; else an [`Error`] says file, line, what was expected and what was found.
//!
//! ```
//! use megasim_network::{netfile, network::StimulusEvent};
//! let directory = tempfile::tempdir()?;
//! let schematic = directory.path().join("megasim.sch");
//! std::fs::write(&schematic, ".netlist\nsource {In} In.stim\n.options\nTmax=50\n")?;
//! std::fs::write(directory.path().join("In.stim"), "7 -1 -1 0 -2 -2\n")?;
//!
//! let netfiles = netfile::read(&schematic)?;
//! assert_eq!(netfiles.network.t_max(), 50);
//! assert_eq!(netfiles.stimuli[0].event(0), StimulusEvent::reset(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
pub mod difference;
mod directory;
mod error;
mod event_files;
pub mod events;
pub mod inspect;
mod parameters;
mod schematic;
mod state;
mod text;

pub use crate::network::KindName as Kind;
pub use directory::{Examination, FileNames, MOST_FAULTS, ModuleFiles, Netfiles, examine, read, write};
pub use error::{Error, TextError, Warning, WarningKind};
#[cfg(feature = "files")]
pub use event_files::write_event_files;
pub use event_files::{event_file_name, list_event_files, read_event_file, read_event_files};
pub use events::{parse_stimulus, write_stimulus};
pub use parameters::{Parameters, parse_parameters, write_parameters};
pub use schematic::{Line, LineElement, Schematic, parse_schematic, write_schematic};
pub use state::{parse_state, write_state};
