//! Stimuli (`*.stim`) and recorded events (`node_<node>.evs`): six integers a line, `t_pre t_rqst t_ack x y polarity`,
//! and a seventh, `value`, where spikes carry one.

use super::error::{ParseError, TextError, WarningKind};
use super::text::{Scanner, TextWriter};
use crate::network::{EventLog, Polarity, Stimulus, Tick, payload};
use std::io::{self, Write};
use std::ops::RangeInclusive;

const COLUMNS: [&str; 7] = ["t_pre", "t_rqst", "t_ack", "x", "y", "polarity", "value"];

/// The integers of a line, and the value that its spike carries.
type Line = ([i64; 6], Option<i64>);

/// Shortest line: six digits, five blanks, a newline.
const SHORTEST_LINE: usize = 12;

/// What follows `t_pre` in a tidy stimulus.
const NOT_YET_ON_THE_BUS: &[u8; 7] = b" -1 -1 ";

/// The next line's integers; none at the end of the file.
#[inline(always)]
fn next_event(scanner: &mut Scanner) -> Result<Option<Line>, ParseError> {
    if !scanner.next_line() {
        return Ok(None);
    }
    let start = scanner.at;
    match columns(scanner) {
        Some(columns) if scanner.at_line_end() => Ok(Some((columns, None))),
        Some(columns) => match scanner.field() {
            Some(value) if scanner.at_line_end() => Ok(Some((columns, Some(value)))),
            _ => Err(bad_line(scanner, start)),
        },
        None => Err(bad_line(scanner, start)),
    }
}

#[inline(always)]
fn columns(scanner: &mut Scanner) -> Option<[i64; 6]> {
    let t_pre = scanner.field()?;
    let (t_rqst, t_ack) = if scanner.text[scanner.at..].first_chunk() == Some(NOT_YET_ON_THE_BUS) {
        scanner.at += NOT_YET_ON_THE_BUS.len();
        (-1, -1)
    } else {
        (scanner.field()?, scanner.field()?)
    };
    Some([t_pre, t_rqst, t_ack, scanner.field()?, scanner.field()?, scanner.field()?])
}

/// Says whether a line has a wrong number of columns, or something in it that is no integer.
#[cold]
fn bad_line(scanner: &Scanner, start: usize) -> ParseError {
    let mut line = Scanner { at: start, ..scanner.clone() };
    let mut count = 0;
    while !line.at_line_end() {
        let expected = || format!("an integer for {}", COLUMNS.get(count).unwrap_or(&"a column too many"));
        if let Err(flaw) = line.integer(expected) {
            return flaw;
        }
        count += 1;
    }
    let expected = format!("6 integers ({}), or 7 with a value", COLUMNS[..6].join(" "));
    ParseError { at: start, end: line.at, expected, found: count.to_string() }
}

/// What a spike may count for, in units of 2^-16.
const VALUES: RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;

/// Address and sign of an event, if all of the line is in range.
#[inline(always)]
fn address((columns, value): &Line) -> Option<(i32, i32, Polarity)> {
    let x = i32::try_from(columns[3]).ok()?;
    let y = i32::try_from(columns[4]).ok()?;
    if value.is_some_and(|value| !VALUES.contains(&value)) {
        return None;
    }
    Some((x, y, Polarity::from_integer(columns[5])?))
}

/// The column that is out of range; the scanner is behind the line's integers.
#[cold]
fn bad_column(text: &[u8], start: usize, (columns, value): &Line, times: usize) -> ParseError {
    let mut line = Scanner { text, at: start };
    line.next_line();
    for (k, (&value, key)) in columns.iter().chain(value).zip(COLUMNS).enumerate() {
        line.skip_blanks();
        let expected = match k {
            0..3 if k < times && value < 0 => "0 or more",
            3 | 4 if i32::try_from(value).is_err() => "-2147483648 to 2147483647 (32 bits)",
            5 if Polarity::from_integer(value).is_none() => "1, -1, -2 or -3",
            6 if !VALUES.contains(&value) => "-2147483648 to 2147483647 (32 bits)",
            _ => {
                line.token();
                continue;
            }
        };
        return line.flaw(format!("{expected} for {key}"));
    }
    line.flaw("an event")
}

/// Events that the text holds, by the length of the first lines; never more than it could hold.
fn expected_events(text: &[u8]) -> usize {
    let sample = &text[..text.len().min(1 << 16)];
    let lines = 1 + sample.iter().filter(|&&byte| byte == b'\n').count();
    (lines as u128 * text.len() as u128 / sample.len().max(1) as u128).min((text.len() / SHORTEST_LINE) as u128)
        as usize
}

/// Reads a stimulus, and reports the oddities in it with their lines. Events of one tick keep their order.
///
/// ```
/// let (stimulus, warnings) = megasim_network::netfile::parse_stimulus(b"4 -1 -1 0 0 1\n3 -1 -1 0 -2 -2\n")?;
/// assert_eq!(stimulus.t_pre(), [3, 4]);
/// assert_eq!(warnings, [(2, megasim_network::netfile::WarningKind::Sorted)]);
/// # Ok::<(), megasim_network::netfile::TextError>(())
/// ```
///
/// # Errors
/// The line at fault.
pub fn parse_stimulus(text: &[u8]) -> Result<(Stimulus, Vec<(usize, WarningKind)>), TextError> {
    let mut scanner = Scanner::new(text);
    let expected = expected_events(text);
    let mut t_pre = Vec::with_capacity(expected);
    let mut x = Vec::with_capacity(expected);
    let mut y = Vec::with_capacity(expected);
    let mut polarity = Vec::with_capacity(expected);
    let mut values = Vec::new();
    let (mut last, mut late, mut handshake) = (0, None, None);
    loop {
        let start = scanner.at;
        let Some(line) = next_event(&mut scanner).map_err(|flaw| flaw.locate(text))? else { break };
        let (columns, value) = line;
        let (Some(address), 0..) = (address(&line), columns[0]) else {
            return Err(bad_column(text, start, &line, 1).locate(text));
        };
        payload::push(&mut values, t_pre.len(), value.map(|value| value as i32));
        if columns[0] < last && late.is_none() {
            late = Some(scanner.at);
        }
        if (columns[1] != -1 || columns[2] != -1) && handshake.is_none() {
            handshake = Some(scanner.at);
        }
        last = columns[0];
        t_pre.push(columns[0]);
        x.push(address.0);
        y.push(address.1);
        polarity.push(address.2);
    }
    let line = |at: usize| 1 + text[..at].iter().filter(|&&byte| byte == b'\n').count();
    let oddities = [(late, WarningKind::Sorted), (handshake, WarningKind::Handshake)];
    let warnings = oddities.into_iter().filter_map(|(at, kind)| Some((line(at?), kind))).collect();
    let (stimulus, _) = Stimulus::from_valued_columns((t_pre, x, y, polarity), values);
    Ok((stimulus, warnings))
}

/// Writes a stimulus; request and acknowledge times are -1, as the events have not been on the bus yet.
///
/// # Errors
/// What the writer says.
pub fn write_stimulus(stimulus: &Stimulus, out: &mut dyn Write) -> io::Result<()> {
    let mut text = TextWriter::new(out);
    for (k, event) in stimulus.iter().enumerate() {
        let columns = [event.t_pre, -1, -1, event.x.into(), event.y.into(), event.polarity as i64];
        write_line(&mut text, columns, stimulus.value().get(k))?;
    }
    text.flush()
}

fn write_line(text: &mut TextWriter<'_>, columns: [i64; 6], value: Option<&i32>) -> io::Result<()> {
    let [t_pre, t_rqst, t_ack, x, y, polarity] = columns;
    match value {
        Some(&value) => text.row(&[t_pre, t_rqst, t_ack, x, y, polarity, value.into()]),
        None => text.row(&columns),
    }
}

/// Reads the events of one node, in the order of the file.
///
/// # Errors
/// The line at fault. A time of -1 is one: an event file has all three times.
pub fn read(text: &[u8]) -> Result<EventLog, TextError> {
    let mut scanner = Scanner::new(text);
    let expected = expected_events(text);
    let times = || Vec::<Tick>::with_capacity(expected);
    let mut log = EventLog {
        t_pre: times(),
        t_rqst: times(),
        t_ack: times(),
        x: Vec::with_capacity(expected),
        y: Vec::with_capacity(expected),
        polarity: Vec::with_capacity(expected),
        value: Vec::new(),
    };
    loop {
        let start = scanner.at;
        let Some(line) = next_event(&mut scanner).map_err(|flaw| flaw.locate(text))? else { return Ok(log) };
        let (columns, value) = line;
        let (Some(address), 0.., 0.., 0..) = (address(&line), columns[0], columns[1], columns[2]) else {
            return Err(bad_column(text, start, &line, 3).locate(text));
        };
        payload::push(&mut log.value, log.t_pre.len(), value.map(|value| value as i32));
        log.t_pre.push(columns[0]);
        log.t_rqst.push(columns[1]);
        log.t_ack.push(columns[2]);
        log.x.push(address.0);
        log.y.push(address.1);
        log.polarity.push(address.2);
    }
}

/// Writes the events of one node.
///
/// ```
/// use megasim_network::netfile::events;
/// let text = b"0 0 2 5 0 1\n1 2 3 5 0 -1\n";
/// let mut out = Vec::new();
/// events::write(&events::read(text)?, &mut out)?;
/// assert_eq!(out, text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// What the writer says.
pub fn write(log: &EventLog, out: &mut dyn Write) -> io::Result<()> {
    let mut text = TextWriter::new(out);
    for k in 0..log.len() {
        let event = log.event(k);
        let (x, y) = (event.x.into(), event.y.into());
        let columns = [event.t_pre, log.t_rqst[k], log.t_ack[k], x, y, event.polarity as i64];
        write_line(&mut text, columns, log.value.get(k))?;
    }
    text.flush()
}
