//! Just enough of Python's pickle machine to read the batches of CIFAR-10 and CIFAR-100. Nothing is executed: an array
//! is what NumPy's own functions are called with, and any other function is refused by name.

use crate::unpickle::{Item, Unpickler};
use std::sync::Arc;

/// Pixels and labels of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// One row a picture.
    pub(super) pixels: Arc<[u8]>,
    /// Class numbers.
    pub(super) labels: Vec<usize>,
}

/// A value of the machine. Containers keep only what a batch needs, so that no value can contain itself.
#[derive(Debug, Clone)]
enum Value {
    Mark,
    Integer(i64),
    Text(Arc<[u8]>),
    Tuple(Arc<[Value]>),
    /// Numbers of a list; none where it holds something else.
    List(Option<Vec<i64>>),
    Global(Arc<str>),
    Array(Option<Arc<[u8]>>),
    Other,
}

impl Item for Value {
    fn is_mark(&self) -> bool {
        matches!(self, Self::Mark)
    }
}

/// Most values on the stack and remembered; a batch has a few dozen, and a list of labels as many as pictures.
const MOST: usize = 1 << 20;

/// Reads a batch; `labels` are the keys of its class numbers, the first of which that is there counts.
pub(super) fn read(bytes: &[u8], labels: &[&str]) -> Result<Batch, String> {
    let mut machine = Machine { input: Unpickler::new(bytes), entries: Vec::new() };
    machine.run()?;
    let entry = |key: &str| machine.entries.iter().find(|(name, _)| **name == *key.as_bytes()).map(|(_, value)| value);
    let Some(Value::Array(Some(pixels))) = entry("data") else {
        return Err("expected a dictionary with an array of bytes 'data'".into());
    };
    let Some(Value::List(Some(numbers))) = labels.iter().find_map(|key| entry(key)) else {
        return Err(format!("expected a list of class numbers '{}'", labels.join("' or '")));
    };
    let labels: Option<Vec<usize>> = numbers.iter().map(|&number| usize::try_from(number).ok()).collect();
    let labels = labels.ok_or("expected class numbers of 0 or more")?;
    Ok(Batch { pixels: pixels.clone(), labels })
}

struct Machine<'a> {
    input: Unpickler<'a, Value>,
    /// Of all dictionaries; a batch is one.
    entries: Vec<(Arc<[u8]>, Value)>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<(), String> {
        loop {
            let place = self.input.at;
            if self.input.stack.len() > MOST {
                return Err(format!("expected at most {MOST} values at once, found more at {place}"));
            }
            let code = self.input.take(1)?[0];
            match code {
                b'.' => return Ok(()),
                0x80 => drop(self.input.take(1)?),
                0x95 => drop(self.input.take(8)?),
                b'(' => self.input.stack.push(Value::Mark),
                b'N' | b'}' | 0x88 | 0x89 => self.input.stack.push(Value::Other),
                b'K' => self.integer(1)?,
                b'M' => self.integer(2)?,
                b'J' => {
                    let number = self.input.number(4)? as u32 as i32;
                    self.input.stack.push(Value::Integer(number.into()));
                }
                b'I' | b'L' => {
                    let line = self.line()?;
                    let number = line.trim_end_matches('L').parse();
                    let number = number.map_err(|_| format!("expected a number at {place}, found '{line}'"))?;
                    self.input.stack.push(Value::Integer(number));
                }
                b'G' => {
                    self.input.take(8)?;
                    self.input.stack.push(Value::Other);
                }
                b'U' | b'C' | 0x8c => self.text(1)?,
                b'T' | b'B' | b'X' => self.text(4)?,
                b']' => self.input.stack.push(Value::List(Some(Vec::new()))),
                b')' => self.input.stack.push(Value::Tuple(Arc::from([]))),
                b't' => {
                    let items = self.input.pop_to_mark()?;
                    self.input.stack.push(Value::Tuple(flat(items)));
                }
                0x85..=0x87 => {
                    let items = self.input.pop_last(usize::from(code - 0x84))?;
                    self.input.stack.push(Value::Tuple(flat(items)));
                }
                b'q' => {
                    let index = self.input.number(1)?;
                    self.remember(index)?;
                }
                b'r' => {
                    let index = self.input.number(4)?;
                    self.remember(index)?;
                }
                0x94 => self.remember(self.input.remembered())?,
                b'h' => {
                    let index = self.input.number(1)?;
                    self.input.recall(index)?;
                }
                b'j' => {
                    let index = self.input.number(4)?;
                    self.input.recall(index)?;
                }
                b'c' => {
                    let name = format!("{}.{}", self.line()?, self.line()?);
                    self.input.stack.push(Value::Global(name.into()));
                }
                0x93 => {
                    let (name, module) = (self.input.pop()?, self.input.pop()?);
                    let (Value::Text(name), Value::Text(module)) = (name, module) else {
                        return Err(format!("expected the name of a function at {place}"));
                    };
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    self.input.stack.push(Value::Global(format!("{}.{}", text(&module), text(&name)).into()));
                }
                b'R' => self.call(place)?,
                b'b' => self.build(place)?,
                b's' => {
                    let (value, key) = (self.input.pop()?, self.input.pop()?);
                    self.set(vec![key, value]);
                }
                b'u' => {
                    let items = self.input.pop_to_mark()?;
                    self.set(items);
                }
                b'a' => {
                    let value = self.input.pop()?;
                    self.append([value]);
                }
                b'e' => {
                    let values = self.input.pop_to_mark()?;
                    self.append(values);
                }
                code => return Err(format!("expected a batch of CIFAR, found pickle code {code:#04x} at {place}")),
            }
        }
    }

    fn integer(&mut self, size: usize) -> Result<(), String> {
        let number = self.input.number(size)?;
        self.input.stack.push(Value::Integer(number as i64));
        Ok(())
    }

    fn text(&mut self, size: usize) -> Result<(), String> {
        let length = self.input.number(size)?;
        let text = self.input.take(length)?;
        self.input.stack.push(Value::Text(text.into()));
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        Ok(self.input.line("a line")?.trim_end_matches('\r'))
    }

    fn remember(&mut self, index: usize) -> Result<(), String> {
        let value = match self.input.stack.last() {
            // A list may still grow; batches refer to none again.
            Some(Value::List(_)) => Value::List(None),
            other => other.cloned().ok_or("expected a value to remember")?,
        };
        self.input.remember(index, value, MOST, Value::Other)
    }

    fn call(&mut self, place: usize) -> Result<(), String> {
        let (arguments, function) = (self.input.pop()?, self.input.pop()?);
        let Value::Global(function) = function else { return Err(format!("expected a call at {place}")) };
        let result = match &function[..] {
            "numpy.core.multiarray._reconstruct" | "numpy._core.multiarray._reconstruct" => Value::Array(None),
            // 'u1', as the name of a type.
            "numpy.dtype" => match arguments {
                Value::Tuple(parts) => match parts.first() {
                    Some(Value::Text(name)) => Value::Text(name.clone()),
                    _ => return Err(format!("expected the name of a type at {place}")),
                },
                _ => return Err(format!("expected a type at {place}")),
            },
            // Python 3 writes bytes so in old protocols.
            "_codecs.encode" => match arguments {
                Value::Tuple(parts) => match parts.first() {
                    Some(Value::Text(text)) => Value::Text(latin(text)?),
                    _ => return Err(format!("expected text at {place}")),
                },
                _ => return Err(format!("expected text at {place}")),
            },
            other => return Err(format!("expected arrays and lists only, found a '{other}'")),
        };
        self.input.stack.push(result);
        Ok(())
    }

    /// The state of an array: (version, shape, type, Fortran order, bytes); that of a type says nothing.
    fn build(&mut self, place: usize) -> Result<(), String> {
        let state = self.input.pop()?;
        let Some(Value::Array(content)) = self.input.stack.last_mut() else { return Ok(()) };
        let Value::Tuple(parts) = state else { return Err(format!("expected the state of an array at {place}")) };
        let is_bytes = matches!(parts.get(2), Some(Value::Text(name)) if **name == *b"u1");
        match (is_bytes, parts.get(4)) {
            (true, Some(Value::Text(bytes))) => *content = Some(bytes.clone()),
            _ => return Err(format!("expected an array of bytes (uint8) at {place}")),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Value>) {
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            if let Value::Text(key) = key {
                self.entries.push((key, value));
            }
        }
    }

    fn append(&mut self, values: impl IntoIterator<Item = Value>) {
        let Some(Value::List(numbers)) = self.input.stack.last_mut() else { return };
        for value in values {
            match (value, &mut *numbers) {
                (Value::Integer(number), Some(numbers)) => numbers.push(number),
                _ => *numbers = None,
            }
        }
    }
}

/// Items of a tuple, of which tuples within say no more: a batch needs none.
fn flat(items: Vec<Value>) -> Arc<[Value]> {
    let items = items.into_iter().map(|item| match item {
        Value::Tuple(_) | Value::List(_) => Value::Other,
        item => item,
    });
    items.collect()
}

/// The bytes of text that has one for each character.
fn latin(text: &[u8]) -> Result<Arc<[u8]>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "expected text in UTF-8")?;
    let bytes: Option<Vec<u8>> = text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
    Ok(bytes.ok_or("expected text of bytes")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `pickle.dumps({'data': numpy.arange(6, dtype='uint8').reshape(2, 3), 'labels': [3, 1]}, protocol=2)`, made by
    /// Python 3.
    const PYTHON_3: &[u8] =
        b"\x80\x02}q\x00(X\x04\x00\x00\x00dataq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\
        \nq\x03K\x00\x85q\x04c_codecs\nencode\nq\x05X\x01\x00\x00\x00bq\x06X\x06\x00\x00\x00latin1q\x07\x86q\
        \x08Rq\t\x87q\nRq\x0b(K\x01K\x02K\x03\x86q\x0ccnumpy\ndtype\nq\rX\x02\x00\x00\x00u1q\x0e\x89\x88\x87\
        q\x0fRq\x10(K\x03X\x01\x00\x00\x00|q\x11NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x12b\x89h\x05X\
        \x06\x00\x00\x00\x00\x01\x02\x03\x04\x05q\x13h\x07\x86q\x14Rq\x15tq\x16bX\x06\x00\x00\x00labelsq\x17\
        ]q\x18(K\x03K\x01eu.";

    #[test]
    fn a_batch_is_read() {
        let batch = read(PYTHON_3, &["labels"]).unwrap();
        assert_eq!((&batch.pixels[..], &batch.labels[..]), (&[0, 1, 2, 3, 4, 5][..], &[3, 1][..]));
        assert!(read(PYTHON_3, &["fine_labels"]).unwrap_err().contains("'fine_labels'"));
    }

    #[test]
    fn nothing_is_called() {
        let error = read(b"cos\nsystem\n(X\x02\x00\x00\x00lstR.", &["labels"]).unwrap_err();
        assert_eq!(error, "expected arrays and lists only, found a 'os.system'");
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0..PYTHON_3.len(), byte: u8, cut in 0..PYTHON_3.len()) {
            let mut bytes = PYTHON_3.to_vec();
            bytes[at] = byte;
            let _ = read(&bytes, &["labels"]);
            bytes.truncate(cut);
            let _ = read(&bytes, &["labels"]);
        }
    }
}
