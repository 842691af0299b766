//! A page on this machine that starts the commands of a program: forms made from their options, a queue of jobs that
//! run the program as a child process, and their results.
//!
//! The server listens on 127.0.0.1 only. A request has to know the token in the address, to name this server as its
//! host, and, where a page of a browser sends it, to come from this server's own page. Paths outside of the directory
//! in which it was started are refused, but for those of [`Options::allow`].

mod answer;
pub mod form;
mod guard;
mod jobs;
mod places;
pub mod settings;
mod suggest;

pub use answer::MOST_BYTES;
pub use places::Places;

use answer::Site;
use guard::Guard;
use jobs::Jobs;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Connections that are open at once; further ones wait.
const MOST_CONNECTIONS: usize = 64;

/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether the server is to end.
const PAUSE: Duration = Duration::from_millis(100);

/// Free ports that are tried: another program may take one between the question and the answer.
const ATTEMPTS: usize = 10;

/// What a command line comes to, before it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What is wrong with it.
    pub fault: Option<String>,
    /// Options that have no effect on its input, by the names of their fields, and why.
    pub without_effect: BTreeMap<String, String>,
}

/// Paths to start with, relative to the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// A trained network.
    pub model: String,
    /// Its data.
    pub data: String,
}

/// Looks at the words of a command line, the program's name first.
pub type Check = dyn Fn(&[String]) -> Checked + Send + Sync;

/// Makes the program, to be started as a job; it has to end when the thread that starts it ends.
pub type Program = dyn Fn() -> io::Result<Command> + Send + Sync;

/// Writes the files of the example where they are not there yet.
pub type Unpack = dyn Fn() -> Result<(), String> + Send + Sync;

/// What is served.
pub struct Options {
    /// Where jobs run, and what paths are relative to.
    pub directory: PathBuf,
    /// Further directories that paths may be in.
    pub allow: Vec<PathBuf>,
    /// The program of the jobs.
    pub program: Box<Program>,
    /// Its name on command lines that are shown.
    pub name: String,
    /// The commands, in the order in which they are offered.
    pub commands: Vec<form::Command>,
    /// Looks at the words of a command.
    pub check: Box<Check>,
    /// What there is to start with, and what writes it.
    pub example: (Example, Box<Unpack>),
}

/// A server that listens.
pub struct Server {
    site: Arc<Site>,
    url: String,
}

impl Server {
    /// Listens on this port of 127.0.0.1, or on a free one.
    ///
    /// # Errors
    /// If the port is taken, a directory is none, or the system gives no random numbers.
    pub fn start(options: Options, port: Option<u16>) -> io::Result<Self> {
        let Options { directory, allow, program, name, commands, check, example } = options;
        let places = Places::new(&directory, &allow)?;
        let jobs = Jobs::start(program, places.directory().to_path_buf())?;
        let site = Arc::new(Site { places, name, commands, check, example, jobs });
        let mut attempts = 0;
        loop {
            let guard = Guard::new(port.map_or_else(free_port, Ok)?)?;
            let (place, url) = ((Ipv4Addr::LOCALHOST, guard.port()), guard.url());
            let answering = site.clone();
            let server = oxhttp::Server::new(move |request| answering.answer(&guard, request))
                .with_global_timeout(SILENCE)
                .with_max_concurrent_connections(MOST_CONNECTIONS)
                .bind(place);
            match server.spawn() {
                Ok(_) => return Ok(Self { site, url }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && port.is_none() && attempts < ATTEMPTS => {
                    attempts += 1;
                }
                Err(error) => return Err(io::Error::new(error.kind(), format!("port {}: {error}", place.1))),
            }
        }
    }

    /// The address of the page, with its token.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers until `ended` says so; then all jobs are ended.
    pub fn run(&self, ended: impl Fn() -> bool) {
        while !ended() {
            std::thread::sleep(PAUSE);
        }
        self.site.jobs.end();
    }
}

/// A port of 127.0.0.1 that no program listens on.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
