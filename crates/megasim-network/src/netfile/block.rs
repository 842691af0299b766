//! Blocks of `key value` lines and matrix rows between `.integers` and `.floats`.

use super::error::ParseError;
use super::text::Scanner;
use crate::network::parameters::{NEURONS, POOL_PORT, Parameter, Presence, Range};
use std::sync::Arc;

/// An integer behind its key, and its position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub key: &'static str,
    pub number: i64,
    at: usize,
    end: usize,
}

impl Value {
    /// The value is not what it should be.
    pub fn refuse(&self, expected: &str) -> ParseError {
        let expected = format!("{expected} for {}", self.key);
        ParseError { at: self.at, end: self.end, expected, found: self.number.to_string() }
    }

    /// A size or count.
    pub fn size(&self) -> Result<u32, ParseError> {
        u32::try_from(self.number).map_err(|_| self.refuse(Range::Size.expected()))
    }
}

/// Some of the parameters of a block, and what they are put into.
pub(super) trait Section {
    fn keys(&self) -> usize;
    fn key(&self, k: usize) -> &'static str;
    fn is_required(&self, k: usize) -> bool;
    fn put(&mut self, k: usize, value: &Value) -> Result<(), ParseError>;
}

/// Parameters of a table, which a block sets.
pub(super) struct Fields<'t, T: 'static> {
    pub table: &'static [Parameter<T>],
    pub of: &'t mut T,
}

impl<T> Section for Fields<'_, T> {
    fn keys(&self) -> usize {
        self.table.len()
    }

    fn key(&self, k: usize) -> &'static str {
        self.table[k].key
    }

    fn is_required(&self, k: usize) -> bool {
        self.table[k].presence == Presence::Required
    }

    fn put(&mut self, k: usize, value: &Value) -> Result<(), ParseError> {
        let parameter = &self.table[k];
        // Whether all keys go together is for the reader of the block to say.
        parameter.set(self.of, value.number).map(drop).map_err(|_| value.refuse(parameter.range.expected()))
    }
}

/// Reads block after block, and remembers the values for later complaints.
pub(super) struct Block<'a> {
    scanner: Scanner<'a>,
    values: Vec<Value>,
    passed: &'a dyn Fn(usize),
}

/// Bounds of the sections of a block, and of the keys of a section.
const MOST_SECTIONS: usize = 2;
const MOST_KEYS: usize = 24;
const _: () = assert!(NEURONS.len() <= MOST_KEYS && POOL_PORT.len() <= MOST_KEYS);

/// Bytes of a matrix between two reports of how far it is parsed.
const TELL_EVERY: usize = 4 << 20;

impl<'a> Block<'a> {
    /// `passed` is called from time to time with the position up to which the text is read again only for an error.
    pub fn new(scanner: Scanner<'a>, passed: &'a dyn Fn(usize)) -> Self {
        Self { scanner, values: Vec::new(), passed }
    }

    /// The line `.integers`.
    pub fn head(&mut self) -> Result<(), ParseError> {
        self.section(".integers")
    }

    fn section(&mut self, name: &str) -> Result<(), ParseError> {
        self.scanner.next_line();
        let flaw = self.scanner.flaw(format!("the section {name}"));
        if self.scanner.token() != name.as_bytes() {
            return Err(flaw);
        }
        self.scanner.end_line(|| format!("the end of the line after {name}"))
    }

    /// The empty section `.floats`, which may be missing, and nothing behind it.
    pub fn tail(&mut self) -> Result<(), ParseError> {
        if self.scanner.next_line() {
            self.section(".floats")?;
        }
        if self.scanner.next_line() {
            return Err(self.scanner.flaw("the end of the file, as .floats is empty"));
        }
        Ok(())
    }

    /// `key value` lines in any order until all parameters of the sections have been read, or those that a file needs
    /// and then another line. Returns where the values of the block start, for [`Block::given`].
    pub fn read(&mut self, block: &str, sections: &mut [&mut dyn Section]) -> Result<usize, ParseError> {
        let first = self.values.len();
        let mut read = [[None; MOST_KEYS]; MOST_SECTIONS];
        let place = |sections: &[&mut dyn Section], token: &[u8]| {
            let places = sections.iter().enumerate();
            let mut places = places.flat_map(|(s, section)| (0..section.keys()).map(move |k| (s, k)));
            places.find(|&(s, k)| sections[s].key(k).as_bytes() == token)
        };
        let (mut required, mut left) = (0, 0);
        for section in &*sections {
            left += section.keys();
            required += (0..section.keys()).filter(|&k| section.is_required(k)).count();
        }
        while left > 0 {
            let more = self.scanner.next_line();
            let token = self.scanner.peek();
            match place(sections, token) {
                Some((s, k)) if more && read[s][k].is_none() => {
                    let key = sections[s].key(k);
                    self.scanner.token();
                    self.scanner.skip_blanks();
                    let at = self.scanner.at;
                    let number = self.scanner.integer(|| format!("an integer after `{key}`"))?;
                    let value = Value { key, number, at, end: self.scanner.at };
                    self.scanner.end_line(|| format!("the end of the line after `{key} {number}`"))?;
                    read[s][k] = Some(value);
                    self.values.push(value);
                    left -= 1;
                    required -= usize::from(sections[s].is_required(k));
                }
                _ if required == 0 => break,
                twice => {
                    let again = if twice.is_some() && more { " (a second time)" } else { "" };
                    let missing: Vec<&str> = sections
                        .iter()
                        .zip(&read)
                        .flat_map(|(section, read)| {
                            let keys = (0..section.keys()).filter(|&k| section.is_required(k) && read[k].is_none());
                            keys.map(|k| section.key(k))
                        })
                        .collect();
                    let mut flaw = self.scanner.flaw(match missing.as_slice() {
                        [key] => format!("the key {key} of {block}"),
                        keys => format!("one of the keys {} of {block}", keys.join(", ")),
                    });
                    flaw.found += again;
                    return Err(flaw);
                }
            }
        }
        for (section, read) in sections.iter_mut().zip(&read) {
            for (k, value) in read.iter().enumerate().filter_map(|(k, value)| Some((k, value.as_ref()?))) {
                section.put(k, value)?;
            }
        }
        Ok(first)
    }

    /// The value of a key among those from `first` on, if the block had it.
    pub fn given(&self, first: usize, key: &str) -> Option<Value> {
        self.values[first..].iter().find(|value| value.key == key).copied()
    }

    /// The value of a key that the block needs.
    pub fn value(&self, first: usize, key: &'static str) -> Value {
        self.given(first, key).unwrap_or(Value { key, number: 0, at: self.scanner.at, end: self.scanner.at })
    }

    /// Refuses a further block that starts with one of `keys`.
    pub fn no_more(&mut self, keys: &[&str], announced: &Value) -> Result<(), ParseError> {
        if self.scanner.next_line() && keys.iter().any(|key| key.as_bytes() == self.scanner.peek()) {
            let mut flaw =
                self.scanner.flaw(format!("no more port blocks, as {} is {}", announced.key, announced.number));
            flaw.found = format!("a further one ({})", flaw.found);
            return Err(flaw);
        }
        Ok(())
    }

    /// `rows` lines of `columns` integers of 32 bits, announced at `header`. Nothing is allocated that the rest of the
    /// file cannot hold.
    pub fn matrix(&mut self, columns: &Value, rows: u64, header: &Value, what: &str) -> Result<Arc<[i32]>, ParseError> {
        let width = columns.size()? as usize;
        let (announced, room) = (rows.saturating_mul(width as u64), self.scanner.room());
        if announced > room {
            let found = format!("{rows} rows of {width}");
            let expected =
                format!("at most {room} integers for {what}, the limit of what the rest of the file can hold");
            return Err(ParseError { at: header.at, end: header.end, expected, found });
        }
        // Collected from an iterator of known length: one allocation, which the rows are then written into.
        let mut weights: Arc<[i32]> = std::iter::repeat_n(0, announced as usize).collect();
        if let Some(cells) = Arc::get_mut(&mut weights)
            && width > 0
        {
            let mut reported = self.scanner.at;
            for (k, row) in cells.chunks_exact_mut(width).enumerate() {
                if self.scanner.at - reported >= TELL_EVERY {
                    reported = self.scanner.at;
                    (self.passed)(reported);
                }
                self.row(row).map_err(|flaw| ParseError {
                    expected: format!("{} (row {} of {rows} of {what})", flaw.expected, k + 1),
                    ..flaw
                })?;
            }
        }
        Ok(weights)
    }

    #[inline]
    fn row(&mut self, row: &mut [i32]) -> Result<(), ParseError> {
        self.scanner.next_line();
        let start = self.scanner.at;
        for cell in &mut *row {
            match self.scanner.field().map(i32::try_from) {
                Some(Ok(value)) => *cell = value,
                _ => return Err(self.bad_row(start, row.len())),
            }
        }
        if self.scanner.at_line_end() { Ok(()) } else { Err(self.bad_row(start, row.len())) }
    }

    /// Says whether a row has a wrong number of integers, or something that is none.
    #[cold]
    fn bad_row(&self, start: usize, width: usize) -> ParseError {
        let mut scanner = Scanner { at: start, ..self.scanner.clone() };
        let mut count = 0;
        while !scanner.at_line_end() {
            let before = scanner.clone();
            if !matches!(scanner.field().map(i32::try_from), Some(Ok(_))) {
                return before.flaw("integers of 32 bits");
            }
            count += 1;
        }
        let integers = |n: usize| format!("{n} integer{}", if n == 1 { "" } else { "s" });
        let found = if count > 0 { integers(count) } else { scanner.flaw("").found };
        let expected = integers(width);
        ParseError { at: start, end: scanner.at, expected, found }
    }

    /// The value that broke a rule of the network: the one with that key and number.
    pub fn value_at_fault(&self, key: &str, found: &str) -> Option<Value> {
        let of_key = || self.values.iter().filter(|value| value.key == key);
        of_key().find(|value| value.number.to_string() == found).or(of_key().next()).copied()
    }
}
