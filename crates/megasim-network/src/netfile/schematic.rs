//! The schematic (`*.sch`): which files drive and read which nodes.

use super::error::{ParseError, TextError, quoted};
use super::text::Scanner;
use crate::network::{KindName as Kind, Tick};
use std::collections::HashMap;
use std::io::{self, Write};

/// A schematic: sources and modules in netlist order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schematic {
    /// One a line.
    pub lines: Vec<Line>,
    /// The option `Tmax`, if it is given.
    pub t_max: Option<Tick>,
}

/// A line of the netlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Line in the file, from 1.
    pub number: usize,
    /// Its content.
    pub element: LineElement,
}

/// What a line of the netlist says. File names are relative to the schematic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineElement {
    /// `source {node} stimulus`
    Source {
        /// The node driven.
        node: String,
        /// File name of the stimulus.
        stimulus: String,
    },
    /// `kind {inputs}{outputs} parameters state`
    Module {
        /// What kind of module.
        kind: Kind,
        /// The suffix `_NPP`.
        not_programmable: bool,
        /// Nodes read, port by port.
        inputs: Vec<String>,
        /// Nodes driven.
        outputs: Vec<String>,
        /// File name of the parameters.
        parameters: String,
        /// File name of the state.
        state: String,
    },
}

impl LineElement {
    /// The nodes that it drives.
    pub fn drives(&self) -> &[String] {
        match self {
            Self::Source { node, .. } => std::slice::from_ref(node),
            Self::Module { outputs, .. } => outputs,
        }
    }
}

/// Reads a schematic.
///
/// ```
/// use megasim_network::netfile::{Kind, LineElement, parse_schematic};
/// let schematic = parse_schematic(b".netlist\nsource  {In} in.stim\nmodule_conv {In}{A,B} a.prm a.stt\n")?;
/// assert_eq!(schematic.lines[1].element.drives(), ["A", "B"]);
/// assert_eq!(schematic.t_max, None);
/// # Ok::<(), megasim_network::netfile::TextError>(())
/// ```
///
/// # Errors
/// The first line at fault.
pub fn parse_schematic(text: &[u8]) -> Result<Schematic, TextError> {
    let (schematic, flaws) = parse_all(text);
    match flaws.into_iter().next() {
        Some(flaw) => Err(flaw.locate(text)),
        None => Ok(schematic),
    }
}

/// The most wrong lines that are reported; a file with more of them is something else.
const MOST_FLAWS: usize = 100;

/// Reads what can be read, and reports every wrong line, up to [`MOST_FLAWS`].
pub(super) fn parse_all(text: &[u8]) -> (Schematic, Vec<ParseError>) {
    let mut parser = Parser { driven: HashMap::new(), schematic: Schematic::default(), section: Section::None };
    let mut flaws = Vec::new();
    let (mut scanner, mut number, mut counted) = (Scanner::new(text), 1, 0);
    let mut seen_netlist = false;
    while flaws.len() < MOST_FLAWS && scanner.next_line() {
        number += text[counted..scanner.at].iter().filter(|&&byte| byte == b'\n').count();
        counted = scanner.at;
        flaws.extend(parser.line(&mut scanner, number).err());
        seen_netlist |= parser.section == Section::Netlist;
        if parser.section == Section::None {
            break;
        }
        let rest = &text[scanner.at..];
        scanner.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    }
    if !seen_netlist && flaws.is_empty() {
        flaws.push(scanner.flaw("the section .netlist"));
    }
    (parser.schematic, flaws)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    None,
    Netlist,
    Options,
}

struct Parser {
    driven: HashMap<String, usize>,
    schematic: Schematic,
    section: Section,
}

impl Parser {
    fn line(&mut self, scanner: &mut Scanner, number: usize) -> Result<(), ParseError> {
        if scanner.peek().starts_with(b".") {
            let flaw = scanner.flaw("the section .netlist or .options");
            self.section = match scanner.token() {
                b".netlist" => Section::Netlist,
                b".options" => Section::Options,
                _ => return Err(flaw),
            };
            return scanner.end_line(|| "the end of the line".into());
        }
        match self.section {
            Section::None => Err(scanner.flaw("the section .netlist")),
            Section::Options => self.option(scanner),
            Section::Netlist => self.element(scanner, number),
        }
    }

    fn option(&mut self, scanner: &mut Scanner) -> Result<(), ParseError> {
        let (start, mut flaw) = (scanner.at, scanner.flaw("the option Tmax"));
        let rest = &scanner.text[start..];
        let length = rest.iter().position(|byte| b"= \t\r\n".contains(byte)).unwrap_or(rest.len());
        scanner.at += length;
        if &rest[..length] != b"Tmax" {
            flaw.end = start + length;
            flaw.found = quoted(&rest[..length]);
            return Err(flaw);
        }
        if self.schematic.t_max.is_some() {
            flaw.expected = "the option Tmax only once".into();
            return Err(flaw);
        }
        scanner.skip_blanks();
        if scanner.text.get(scanner.at) != Some(&b'=') {
            return Err(scanner.flaw("`=` after Tmax"));
        }
        scanner.at += 1;
        scanner.skip_blanks();
        let flaw = scanner.flaw("0 or more for Tmax");
        let t_max = scanner.integer(|| "an integer for Tmax".into())?;
        if t_max < 0 {
            return Err(flaw);
        }
        scanner.end_line(|| "the end of the line after Tmax".into())?;
        self.schematic.t_max = Some(t_max);
        Ok(())
    }

    fn element(&mut self, scanner: &mut Scanner, number: usize) -> Result<(), ParseError> {
        let rest = &scanner.text[scanner.at..];
        let length = rest.iter().position(|byte| b"{ \t\r\n".contains(byte)).unwrap_or(rest.len());
        let word = &rest[..length];
        let unknown = || ParseError {
            at: scanner.at,
            end: scanner.at + length,
            expected: format!("`source` or a module kind ({}, ...)", Kind::ALL.map(Kind::name).join(", ")),
            found: quoted(word),
        };
        let word = str::from_utf8(word).map_err(|_| unknown())?;
        let kind = if word == "source" { None } else { Some(Kind::of_word(word).ok_or_else(unknown)?) };
        scanner.at += length;

        let (element, at) = match kind {
            None => {
                let (mut names, at) = names(scanner, "the node driven, in braces")?;
                let node = match (names.pop(), names.len()) {
                    (Some(node), 0) => node,
                    (_, more) => {
                        let found = if at.is_empty() { "none".into() } else { format!("{}", more + 1) };
                        let (at, end) = (at.first().copied().unwrap_or(scanner.at), scanner.at);
                        return Err(ParseError { at, end, expected: "one node behind `source`".into(), found });
                    }
                };
                let stimulus = file_name(scanner, "the file name of a stimulus")?;
                (LineElement::Source { node, stimulus }, at)
            }
            Some((kind, not_programmable)) => {
                let (inputs, _) = names(scanner, "the input nodes, in braces")?;
                let (outputs, at) = names(scanner, "the output nodes, in braces")?;
                let parameters = file_name(scanner, "the file name of the parameters")?;
                let state = file_name(scanner, "the file name of the state")?;
                (LineElement::Module { kind, not_programmable, inputs, outputs, parameters, state }, at)
            }
        };
        scanner.end_line(|| "the end of the line".into())?;
        for (node, &at) in element.drives().iter().zip(&at) {
            if let Some(first) = self.driven.insert(node.clone(), number) {
                let (end, found) = (at + node.len(), format!("`{node}`, driven in line {first} already"));
                return Err(ParseError { at, end, expected: "a node that nothing else drives".into(), found });
            }
        }
        self.schematic.lines.push(Line { number, element });
        Ok(())
    }
}

/// `{name,name,...}`, blanks allowed around names: the names and their positions.
fn names(scanner: &mut Scanner, expected: &str) -> Result<(Vec<String>, Vec<usize>), ParseError> {
    scanner.skip_blanks();
    if scanner.text.get(scanner.at) != Some(&b'{') {
        return Err(scanner.flaw(expected));
    }
    scanner.at += 1;
    let (mut names, mut places) = (Vec::new(), Vec::new());
    loop {
        scanner.skip_blanks();
        let rest = &scanner.text[scanner.at..];
        let length = rest.iter().position(|byte| b"{}, \t\r\n".contains(byte)).unwrap_or(rest.len());
        let name = &rest[..length];
        let place = scanner.at;
        scanner.at += length;
        scanner.skip_blanks();
        let separator = scanner.text.get(scanner.at);
        let flaw =
            |expected: &str, found| ParseError { at: place, end: place + length, expected: expected.into(), found };
        match separator {
            Some(b'}') if name.is_empty() && names.is_empty() => {}
            Some(b'}' | b',') if name.is_empty() => return Err(flaw("a node name", "none".into())),
            Some(b'}' | b',') => {
                let name = str::from_utf8(name).map_err(|_| flaw("a node name in UTF-8", quoted(name)))?;
                if name.contains(char::is_whitespace) {
                    return Err(flaw("a node name without blanks", quoted(name.as_bytes())));
                }
                names.push(name.to_string());
                places.push(place);
            }
            _ => return Err(scanner.flaw("`,` or `}` after a node name")),
        }
        scanner.at += 1;
        if separator == Some(&b'}') {
            return Ok((names, places));
        }
    }
}

/// Any run of bytes that are not blank.
fn file_name(scanner: &mut Scanner, expected: &str) -> Result<String, ParseError> {
    scanner.skip_blanks();
    let flaw = scanner.flaw(expected);
    let token = scanner.token();
    if token.is_empty() {
        return Err(flaw);
    }
    match str::from_utf8(token) {
        Ok(name) => Ok(name.to_string()),
        Err(_) => Err(ParseError { expected: format!("{expected} in UTF-8"), ..flaw }),
    }
}

/// Writes a schematic.
///
/// # Errors
/// What the writer says.
pub fn write_schematic(schematic: &Schematic, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, ".netlist")?;
    for line in &schematic.lines {
        match &line.element {
            LineElement::Source { node, stimulus } => writeln!(out, "source {{{node}}} {stimulus}")?,
            LineElement::Module { kind, not_programmable, inputs, outputs, parameters, state } => {
                let suffix = if *not_programmable && kind.may_be_not_programmable() { "_NPP" } else { "" };
                let (kind, inputs, outputs) = (kind.name(), inputs.join(","), outputs.join(","));
                writeln!(out, "{kind}{suffix} {{{inputs}}}{{{outputs}}} {parameters} {state}")?;
            }
        }
    }
    if let Some(t_max) = schematic.t_max {
        writeln!(out, "\n.options\nTmax={t_max}")?;
    }
    Ok(())
}
