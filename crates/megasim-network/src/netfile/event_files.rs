//! The event files of a run: `node_<node>.evs`, one per node.

use super::directory::{bytes_of, file_of_node};
use super::error::Error;
use super::events;
#[cfg(feature = "files")]
use crate::atomic_write::{self, DirLock, Overwrite};
use crate::network::EventLog;
#[cfg(feature = "files")]
use crate::network::Network;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of a node's event file.
///
/// # Errors
/// [`Error::FileName`] where the node's name holds what a file name cannot (`/`, NUL).
pub fn event_file_name(node: &str) -> Result<String, Error> {
    file_of_node(&format!("node_{node}"), "evs")
}

/// The nodes that have an event file in a directory, in order of their names, with its path.
///
/// # Errors
/// [`Error::Read`] if the directory cannot be listed.
pub fn list_event_files(directory: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let error = |source| Error::Read { path: directory.into(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(error)? {
        let path = entry.map_err(error)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if let Some(node) = name.strip_prefix("node_").and_then(|rest| rest.strip_suffix(".evs")) {
            files.push((node.to_string(), path));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads one event file.
///
/// # Errors
/// [`Error::Read`], [`Error::NotAFile`], [`Error::Text`].
pub fn read_event_file(path: &Path) -> Result<EventLog, Error> {
    let text = bytes_of(path)?;
    events::read(&text).map_err(|fault| Error::Text { path: path.into(), fault: fault.into() })
}

/// Reads every event file of a directory, in order of the nodes' names.
///
/// # Errors
/// [`Error::Read`], [`Error::NotAFile`], [`Error::Text`].
pub fn read_event_files(directory: &Path) -> Result<Vec<(String, EventLog)>, Error> {
    let files = list_event_files(directory)?;
    files.into_iter().map(|(node, path)| Ok((node, read_event_file(&path)?))).collect()
}

/// Writes an event file for each node that has a log (by [`NodeId`](crate::network::NodeId)), also for an empty one,
/// and replaces those that are there. Either all of them appear or, unless the very renaming fails, none.
///
/// # Errors
/// [`Error::Write`]; [`Error::Target`] where a file cannot be replaced or another process writes here;
/// [`Error::FileName`] for a node whose name cannot be part of a file name.
#[cfg(feature = "files")]
pub fn write_event_files(directory: &Path, network: &Network, logs: &[Option<EventLog>]) -> Result<(), Error> {
    let error = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::Write { path, source }
    };
    let recorded = network.nodes().iter().zip(logs).filter_map(|(node, log)| Some((node, log.as_ref()?)));
    let named =
        recorded.map(|(node, log)| Ok((event_file_name(&node.name)?, log))).collect::<Result<Vec<_>, Error>>()?;
    for (name, _) in &named {
        atomic_write::check_file(&directory.join(name), Overwrite::Allow)?;
    }
    let temporary = DirLock::acquire(&directory.join("events"))?;
    for (name, log) in &named {
        let path = directory.join(name);
        let mut file = fs::File::create(temporary.path().join(name)).map_err(error(&path))?;
        events::write(log, &mut file).map_err(error(&path))?;
    }
    for (name, _) in &named {
        let path = directory.join(name);
        fs::rename(temporary.path().join(name), &path).map_err(error(&path))?;
    }
    Ok(())
}
