//! A whole netfile directory: the schematic and every file that it names.

use super::error::{Error, ParseError, TextError, Warning, WarningKind, quoted};
use super::events::{parse_stimulus, write_stimulus};
use super::parameters::{Parameters, parse_and_tell, write_parameters};
use super::schematic::{Line, LineElement, Schematic, parse_all, write_schematic};
use super::state::{parse_state, write_state};
#[cfg(feature = "files")]
use crate::atomic_write::make_directory;
use crate::network::{
    DEFAULT_T_MAX, Element, Input, Module, ModuleId, Network, NetworkBuilder, NetworkError, NeuronModel, Stimulus, Tick,
};
use std::collections::{HashMap, HashSet};
// Without atomic writes nothing removes directories while others are made.
#[cfg(not(feature = "files"))]
use std::fs::create_dir_all as make_directory;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::num::NonZeroU32;
use std::path::{Component, Path};
use std::sync::Arc;

/// A network with its stimuli, and the names of the files it came from.
#[derive(Debug, Clone)]
pub struct Netfiles {
    /// The network.
    pub network: Network,
    /// One a source, in the order of [`Network::sources`].
    pub stimuli: Vec<Stimulus>,
    /// Under which names it was read, and may be written.
    pub files: FileNames,
    /// What the reader found odd.
    pub warnings: Vec<Warning>,
}

/// Names of the files of a netfile directory; all but the schematic's relative to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNames {
    /// The schematic, inside its directory.
    pub schematic: String,
    /// One a source.
    pub stimuli: Vec<String>,
    /// One a module.
    pub modules: Vec<ModuleFiles>,
}

/// The files of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleFiles {
    /// `*.prm`
    pub parameters: String,
    /// `*.stt`; modules may share one.
    pub state: String,
}

impl FileNames {
    /// `megasim.sch`, a stimulus file named after each source's node, and the others after each module's first output.
    pub fn of(network: &Network) -> Self {
        let mut taken = HashSet::new();
        // Names that no file can have, and modules without outputs, are numbered instead.
        let mut stem = |name: Option<&str>, fallback: String| {
            let usable = name.filter(|name| is_inside(name) && !name.contains('/'));
            let mut stem = usable.unwrap_or(&fallback).to_string();
            while !taken.insert(stem.clone()) {
                stem.push('_');
            }
            stem
        };
        let name = |id: &crate::network::NodeId| network.nodes()[id.index()].name.as_str();
        let sources = network.sources().iter().enumerate();
        let stimuli = sources.map(|(k, id)| stem(Some(name(id)), format!("source_{k}")) + ".stim").collect();
        let modules = (0..network.modules().len()).map(|k| {
            let first = network.outputs(ModuleId::new(k)).first();
            let stem = stem(first.map(name), format!("module_{k}"));
            ModuleFiles { parameters: format!("{stem}.prm"), state: format!("{stem}.stt") }
        });
        Self { schematic: "megasim.sch".into(), stimuli, modules: modules.collect() }
    }
}

/// Faults after which [`examine`] gives up.
pub const MOST_FAULTS: usize = 200;

/// All that was found in a netfile directory.
#[derive(Debug)]
pub struct Examination {
    /// The network; there is one exactly if there is no fault.
    pub netfiles: Option<Netfiles>,
    /// Every fault: of the schematic each line's, of every other file the first. After [`MOST_FAULTS`] nothing more is
    /// read.
    pub faults: Vec<Error>,
    /// Every oddity; those of the network itself only where there is no fault.
    pub warnings: Vec<Warning>,
}

/// Reads a schematic and the files that it names.
///
/// # Errors
/// The first error; [`examine`] reports all of them.
pub fn read(schematic: &Path) -> Result<Netfiles, Error> {
    let Examination { netfiles, mut faults, .. } = examine(schematic);
    netfiles.ok_or_else(|| faults.remove(0))
}

/// Reads a schematic and the files that it names, and continues with the next file after an error.
pub fn examine(schematic: &Path) -> Examination {
    let text = match bytes_of(schematic) {
        Ok(text) => text,
        Err(fault) => return Examination { netfiles: None, faults: vec![fault], warnings: Vec::new() },
    };
    let (parsed, flaws) = parse_all(&text);
    let mut reader = Reader {
        schematic,
        text: &text,
        faults: Vec::new(),
        warnings: Vec::new(),
        states: HashMap::new(),
        models: HashMap::new(),
        builder: NetworkBuilder::new(),
        stimuli: Vec::new(),
        files: FileNames {
            schematic: schematic.file_name().map_or("megasim.sch".into(), |name| name.to_string_lossy().into()),
            stimuli: Vec::new(),
            modules: Vec::new(),
        },
    };
    for flaw in flaws {
        reader.fault(schematic, flaw.locate(&text));
    }
    let complete = reader.faults.is_empty();
    let driven: HashSet<&str> =
        parsed.lines.iter().flat_map(|line| line.element.drives()).map(String::as_str).collect();
    for line in &parsed.lines {
        if reader.faults.len() >= MOST_FAULTS {
            break;
        }
        match &line.element {
            LineElement::Source { node, stimulus } => reader.source(line, node, stimulus),
            LineElement::Module { inputs, .. } => {
                // A line at fault may be the one that drives the node.
                if complete {
                    reader.undriven(line, inputs, &driven);
                }
                reader.module(line);
            }
        }
    }
    reader.finish(parsed.t_max)
}

struct Reader<'a> {
    schematic: &'a Path,
    text: &'a [u8],
    faults: Vec<Error>,
    warnings: Vec<Warning>,
    /// State files that were read, as modules share them; `None` where at fault.
    states: HashMap<String, Option<Tick>>,
    /// Files of equations that were read, and whether they could be.
    models: HashMap<NonZeroU32, bool>,
    builder: NetworkBuilder,
    stimuli: Vec<Stimulus>,
    files: FileNames,
}

impl Reader<'_> {
    fn fault(&mut self, path: &Path, fault: TextError) {
        // Lines that share a file share its fault.
        let known =
            |other: &Error| matches!(other, Error::Text { path: at, fault: other } if at == path && **other == fault);
        if !self.faults.iter().any(known) {
            self.faults.push(Error::Text { path: path.into(), fault: fault.into() });
        }
    }

    /// A fault at a word of a schematic's line.
    fn fault_at(&mut self, line: &Line, word: &str, expected: String, found: String) {
        let starts = self.text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let start = std::iter::once(0).chain(starts).nth(line.number - 1).unwrap_or(0);
        let length = self.text[start..].iter().position(|&byte| byte == b'\n').unwrap_or(self.text.len() - start);
        let content = &self.text[start..start + length];
        let column = (0..content.len()).rfind(|&at| !word.is_empty() && content[at..].starts_with(word.as_bytes()));
        let at = start + column.unwrap_or(0);
        let flaw = ParseError { at, end: at + column.map_or(length, |_| word.len()), expected, found };
        self.fault(self.schematic, flaw.locate(self.text));
    }

    fn warn(&mut self, line: &Line, kind: WarningKind) {
        self.warnings.push(Warning { path: self.schematic.into(), line: line.number, kind });
    }

    /// The bytes of a file that the schematic names; an error on the schematic's line if there are none.
    fn bytes(&mut self, line: &Line, name: &str) -> Option<Text> {
        match bytes_of(&self.path(name)) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let found = match error {
                    Error::Read { source, .. } => source.to_string(),
                    Error::NotAFile { found, .. } => found.into(),
                    other => other.to_string(),
                };
                self.fault_at(line, name, format!("a readable file {}", quoted(name.as_bytes())), found);
                None
            }
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.schematic.parent().unwrap_or(Path::new("")).join(name)
    }

    fn source(&mut self, line: &Line, node: &str, stimulus: &str) {
        let path = self.path(stimulus);
        let Some(text) = self.bytes(line, stimulus) else { return };
        match parse_stimulus(&text) {
            Err(fault) => self.fault(&path, fault),
            Ok((events, oddities)) => {
                let warning = |(line, kind)| Warning { path: path.clone(), line, kind };
                self.warnings.extend(oddities.into_iter().map(warning));
                if let Err(fault) = self.builder.source(node) {
                    self.network_fault(line, fault);
                }
                self.stimuli.push(events);
                self.files.stimuli.push(stimulus.into());
            }
        }
    }

    fn undriven(&mut self, line: &Line, inputs: &[String], driven: &HashSet<&str>) {
        let mut reported = HashSet::new();
        for node in inputs.iter().filter(|node| !driven.contains(node.as_str())) {
            if reported.insert(node) {
                self.warn(line, WarningKind::Undriven { node: node.clone() });
            }
        }
    }

    fn module(&mut self, line: &Line) {
        let LineElement::Module { kind, not_programmable, inputs, outputs, parameters, state } = &line.element else {
            return;
        };
        let busy = self.state(line, state);
        let Some(text) = self.bytes(line, parameters) else { return };
        let read = match parse_and_tell(&text, *kind, &|at| text.put_away(at)) {
            Ok(read) => read,
            Err(fault) => return self.fault(&self.path(parameters), fault),
        };
        drop(text);
        if let Some(number) = read.kind.neurons().and_then(|(_, neurons, _)| neurons.model())
            && !self.neuron_model(number, parameters)
        {
            return;
        }
        let ports = read.kind.ports();
        if inputs.len() > ports {
            self.warn(line, WarningKind::ExtraInputs { ports, names: inputs[ports..].to_vec() });
        }
        if read.n_out_ports as usize != outputs.len() {
            self.warn(line, WarningKind::OutputPorts { announced: read.n_out_ports, names: outputs.len() });
        }
        let Some(time_busy_initial) = busy else { return };
        let module = Module {
            kind: read.kind,
            // Bound when the whole netlist is known.
            inputs: inputs.iter().cloned().map(Input::Undriven).collect(),
            timing: crate::network::Timing { time_busy_initial, ..read.timing },
            not_programmable: *not_programmable,
        };
        if let Err(fault) = self.builder.module(module, outputs) {
            self.network_fault(line, fault);
        }
        self.files.modules.push(ModuleFiles { parameters: parameters.clone(), state: state.clone() });
    }

    /// Reads the equations of neurons with this number, if they were not read yet; says whether there are any.
    fn neuron_model(&mut self, number: NonZeroU32, parameters: &str) -> bool {
        if let Some(&known) = self.models.get(&number) {
            return known;
        }
        let path = self.path(&NeuronModel::file_name(number));
        let read = match fs::read_to_string(&path) {
            Ok(text) => NeuronModel::parse(&path, &text).map_err(Error::Neuron),
            Err(error) => {
                let source = io::Error::new(error.kind(), format!("{error}; {parameters} has neuron_model {number}"));
                Err(Error::Read { path, source })
            }
        };
        let is_there = match read {
            Ok(model) => {
                self.builder.model(number, Arc::new(model));
                true
            }
            Err(fault) => {
                self.faults.push(fault);
                false
            }
        };
        self.models.insert(number, is_there);
        is_there
    }

    fn state(&mut self, line: &Line, name: &str) -> Option<Tick> {
        if let Some(&known) = self.states.get(name) {
            return known;
        }
        let read = self.bytes(line, name).and_then(|text| match parse_state(&text) {
            Ok(time) => Some(time),
            Err(fault) => {
                self.fault(&self.path(name), fault);
                None
            }
        });
        self.states.insert(name.into(), read);
        read
    }

    fn network_fault(&mut self, line: &Line, fault: NetworkError) {
        match fault {
            NetworkError::FewInputs { ports, names } => {
                let expected = format!("an input name for each of the {ports} ports (n_in_ports)");
                self.fault_at(line, "", expected, format!("{names} names"));
            }
            other => self.fault_at(line, "", "a valid line".into(), other.to_string()),
        }
    }

    fn finish(mut self, t_max: Option<Tick>) -> Examination {
        let t_max = t_max.unwrap_or(DEFAULT_T_MAX);
        let netfiles = match self.builder.build(t_max) {
            Ok(network) if self.faults.is_empty() => {
                Some(Netfiles { network, stimuli: self.stimuli, files: self.files, warnings: self.warnings.clone() })
            }
            Ok(_) => None,
            Err(fault) => {
                let flaw = ParseError { at: 0, end: 0, expected: "a valid network".into(), found: fault.to_string() };
                let fault = flaw.locate(self.text).into();
                self.faults.push(Error::Text { path: self.schematic.into(), fault });
                None
            }
        };
        Examination { netfiles, faults: self.faults, warnings: self.warnings }
    }
}

/// The bytes of a file.
#[derive(Debug)]
pub(super) enum Text {
    /// Read.
    Read(Vec<u8>),
    /// Mapped.
    Mapped(memmap2::Mmap),
}

/// Files from this size on are mapped.
const MAPPED_FROM: usize = 64 << 20;

impl std::ops::Deref for Text {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

impl Text {
    /// Releases the memory of the first bytes; they are read from the file again if they are needed.
    fn put_away(&self, bytes: usize) {
        #[cfg(unix)]
        if let Self::Mapped(map) = self {
            // SAFETY: nothing was written to the map, so that the file still has the same bytes. If the system will
            // not, memory stays in use.
            let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, 0, bytes) };
        }
        #[cfg(not(unix))]
        let _ = bytes;
    }
}

/// All bytes of a regular file.
///
/// Read, not mapped: a mapped file that another program shortens meanwhile kills this one, and reading costs little
/// in addition to parsing. Only where the text would take more memory than it is worth is it mapped, and put away while
/// it is parsed.
pub(super) fn bytes_of(path: &Path) -> Result<Text, Error> {
    let error = |source| Error::Read { path: path.into(), source };
    let not_a_file = |found| Error::NotAFile { path: path.into(), expected: "a file", found };
    let metadata = fs::metadata(path).map_err(error)?;
    if metadata.is_dir() {
        let has_schematic = path.join("megasim.sch").is_file();
        return Err(not_a_file(if has_schematic {
            "a directory; its schematic is megasim.sch"
        } else {
            "a directory"
        }));
    }
    if !metadata.is_file() {
        return Err(not_a_file("a device or pipe"));
    }
    let mut bytes = Vec::new();
    let length = usize::try_from(metadata.len()).map_err(|_| not_a_file("more than this machine can address"))?;
    if length >= MAPPED_FROM {
        let file = File::open(path).map_err(error)?;
        // SAFETY: as safe as mapping is: see above.
        return unsafe { memmap2::Mmap::map(&file) }.map(Text::Mapped).map_err(error);
    }
    bytes.try_reserve_exact(length).map_err(|_| not_a_file("more than the memory holds"))?;
    File::open(path).and_then(|file| file.take(metadata.len()).read_to_end(&mut bytes)).map_err(error)?;
    if bytes.len() != length {
        return Err(error(io::Error::other(format!(
            "it became shorter while it was read: expected {length} bytes, found {}",
            bytes.len()
        ))));
    }
    Ok(Text::Read(bytes))
}

/// Writes a network, its stimuli (one per source) and states under the given names into a directory, which is made
/// where there is none; take a [`atomic_write::AtomicDir`](crate::atomic_write::AtomicDir) for a result that is whole.
///
/// # Errors
/// [`Error::Write`]; [`Error::FileName`] for a name that leads out of the directory, or names two files that
/// differ.
///
/// # Panics
/// If there are not as many stimuli and names as sources and modules.
pub fn write(directory: &Path, network: &Network, stimuli: &[Stimulus], files: &FileNames) -> Result<(), Error> {
    assert_eq!((stimuli.len(), files.stimuli.len()), (network.sources().len(), network.sources().len()));
    assert_eq!(files.modules.len(), network.modules().len());
    make_directory(directory).map_err(|source| Error::Write { path: directory.into(), source })?;
    let mut target = Target { directory, written: HashMap::new() };
    let schematic = schematic_of(network, files);
    target.file(&files.schematic, Content::Schematic, |out| write_schematic(&schematic, out))?;
    for (&number, model) in network.models() {
        let write = |out: &mut dyn Write| out.write_all(model.text().as_bytes());
        target.file(&NeuronModel::file_name(number), Content::Neuron, write)?;
    }
    for (k, (stimulus, name)) in stimuli.iter().zip(&files.stimuli).enumerate() {
        let same = |first: usize| stimuli[first] == *stimulus;
        target.shared(name, Content::Stimulus(k), same, |out| write_stimulus(stimulus, out))?;
    }
    for (k, (module, names)) in network.modules().iter().zip(&files.modules).enumerate() {
        let busy = module.timing.time_busy_initial;
        let same = |first: usize| network.modules()[first].timing.time_busy_initial == busy;
        target.shared(&names.state, Content::State(k), same, |out| write_state(busy, out))?;
        let parameters = |k: usize| {
            let Module { kind, timing, .. } = &network.modules()[k];
            let timing = crate::network::Timing { time_busy_initial: 0, ..*timing };
            let n_out_ports = network.outputs(ModuleId::new(k)).len() as u32;
            Parameters { kind: kind.clone(), timing, n_out_ports }
        };
        let same = |first: usize| parameters(first) == parameters(k);
        target.shared(&names.parameters, Content::Parameters(k), same, |out| write_parameters(&parameters(k), out))?;
    }
    Ok(())
}

fn schematic_of(network: &Network, files: &FileNames) -> Schematic {
    let name = |id: &crate::network::NodeId| network.nodes()[id.index()].name.clone();
    let element = |element: &Element| match *element {
        Element::Source(id) => LineElement::Source {
            node: name(&network.sources()[id.index()]),
            stimulus: files.stimuli[id.index()].clone(),
        },
        Element::Module(id) => {
            let (module, names) = (&network.modules()[id.index()], &files.modules[id.index()]);
            let input = |input: &Input| match input {
                Input::Node(node) => name(node),
                Input::Undriven(name) => name.clone(),
            };
            LineElement::Module {
                kind: module.kind.kind_name(),
                not_programmable: module.not_programmable,
                inputs: module.inputs.iter().map(input).collect(),
                outputs: network.outputs(id).iter().map(name).collect(),
                parameters: names.parameters.clone(),
                state: names.state.clone(),
            }
        }
    };
    let lines = network.elements().iter().enumerate();
    Schematic {
        lines: lines.map(|(k, of)| Line { number: k + 2, element: element(of) }).collect(),
        t_max: Some(network.t_max()),
    }
}

/// What a file holds, to distinguish a shared file from a clash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Schematic,
    Neuron,
    Stimulus(usize),
    State(usize),
    Parameters(usize),
}

struct Target<'a> {
    directory: &'a Path,
    written: HashMap<String, Content>,
}

impl Target<'_> {
    /// Writes a file, unless the same was written already.
    fn shared(
        &mut self,
        name: &str,
        content: Content,
        same: impl Fn(usize) -> bool,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        match (self.written.get(name), content) {
            (Some(&Content::Stimulus(first)), Content::Stimulus(_))
            | (Some(&Content::State(first)), Content::State(_))
            | (Some(&Content::Parameters(first)), Content::Parameters(_))
                if same(first) =>
            {
                Ok(())
            }
            _ => self.file(name, content, write),
        }
    }

    fn file(
        &mut self,
        name: &str,
        content: Content,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        let refuse = |expected| Error::FileName { name: name.into(), expected };
        if !is_inside(name) {
            return Err(refuse("a relative name without blanks and `..`"));
        }
        if self.written.insert(name.into(), content).is_some() {
            return Err(refuse("one name for one content"));
        }
        let path = self.directory.join(name);
        let error = |source| Error::Write { path: path.clone(), source };
        if let Some(below) = Path::new(name).parent() {
            make_directory(&self.directory.join(below)).map_err(error)?;
        }
        let mut out = BufWriter::new(File::create(&path).map_err(error)?);
        write(&mut out).and_then(|()| out.flush()).map_err(error)
    }
}

/// Whether a file name can be used in a schematic and stays inside its directory.
fn is_inside(name: &str) -> bool {
    let plain = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
    !name.is_empty()
        && !name.contains(|c: char| c.is_whitespace() || c == '\0')
        && Path::new(name).components().all(plain)
        && Path::new(name).file_name().is_some()
}

/// `<stem>.<extension>` as the name of one file.
pub(super) fn file_of_node(stem: &str, extension: &str) -> Result<String, Error> {
    let name = format!("{stem}.{extension}");
    if name.contains(['/', '\0']) {
        return Err(Error::FileName { name, expected: "a node name without `/`, as the event file is named after it" });
    }
    Ok(name)
}
