//! Blocks of `key value` lines and matrix rows between `.integers` and `.floats`.

use super::error::ParseError;
use super::text::Scanner;
use crate::network::Tick;
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

    fn within<N: TryFrom<i64>>(&self, expected: &str) -> Result<N, ParseError> {
        N::try_from(self.number).map_err(|_| self.refuse(expected))
    }

    /// A signed value of 32 bits.
    /// Whether the key was there.
    pub fn is_given(&self) -> bool {
        self.end > self.at
    }
    pub fn signed(&self) -> Result<i32, ParseError> {
        self.within("-2147483648 to 2147483647 (32 bits)")
    }

    /// A size or count.
    pub fn size(&self) -> Result<u32, ParseError> {
        self.within("0 to 4294967295 (32 bits)")
    }

    /// A time; that it is not negative is for [`crate::network::Module::check`] to say.
    pub fn tick(&self) -> Tick {
        self.number
    }

    /// 0 or 1.
    pub fn flag(&self) -> Result<bool, ParseError> {
        match self.number {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.refuse("0 or 1")),
        }
    }
}

/// Reads block after block, and remembers the values for later complaints.
pub(super) struct Block<'a> {
    scanner: Scanner<'a>,
    values: Vec<Value>,
    passed: &'a dyn Fn(usize),
}

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

    /// `key value` lines in any order until all of `keys` have been read; those from `required` on may be missing and
    /// are `absent` then.
    pub fn keys<const N: usize>(
        &mut self,
        block: &str,
        keys: [&'static str; N],
        required: usize,
        absent: i64,
    ) -> Result<[Value; N], ParseError> {
        let start = self.scanner.at;
        let mut read: [Option<Value>; N] = [None; N];
        loop {
            let complete = read[..required].iter().all(Option::is_some);
            if complete && read[required..].iter().all(Option::is_some) {
                break;
            }
            let more = self.scanner.next_line();
            let token = self.scanner.peek();
            match keys.iter().position(|key| key.as_bytes() == token) {
                Some(k) if more && read[k].is_none() => {
                    let key = keys[k];
                    self.scanner.token();
                    self.scanner.skip_blanks();
                    let at = self.scanner.at;
                    let number = self.scanner.integer(|| format!("an integer after `{key}`"))?;
                    let value = Value { key, number, at, end: self.scanner.at };
                    self.scanner.end_line(|| format!("the end of the line after `{key} {number}`"))?;
                    read[k] = Some(value);
                    self.values.push(value);
                }
                _ if complete => break,
                twice => {
                    let missing: Vec<&str> = keys[..required]
                        .iter()
                        .zip(&read)
                        .filter(|(_, value)| value.is_none())
                        .map(|(key, _)| *key)
                        .collect();
                    let again = if twice.is_some() && more { " (a second time)" } else { "" };
                    let mut flaw = self.scanner.flaw(match missing.as_slice() {
                        [key] => format!("the key {key} of {block}"),
                        keys => format!("one of the keys {} of {block}", keys.join(", ")),
                    });
                    flaw.found += again;
                    return Err(flaw);
                }
            }
        }
        let mut k = 0;
        Ok(read.map(|value| {
            let absent = Value { key: keys[k], number: absent, at: start, end: start };
            k += 1;
            value.unwrap_or(absent)
        }))
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
            let mut told = self.scanner.at;
            for (k, row) in cells.chunks_exact_mut(width).enumerate() {
                if self.scanner.at - told >= TELL_EVERY {
                    told = self.scanner.at;
                    (self.passed)(told);
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
