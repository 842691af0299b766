//! Just enough of Python's pickle machine to read a dictionary of tensors. Nothing is executed: a tensor is what
//! PyTorch's own functions are called with, and any other function is refused by name.

use megasim_data::unpickle::{Item, Unpickler};
use ndarray::{ArrayD, IxDyn};
use std::cell::RefCell;
use std::rc::Rc;

/// A tensor: a view of a storage.
#[derive(Debug, Clone)]
pub(super) struct Tensor {
    pub(super) name: String,
    /// Name of the file with its numbers.
    pub(super) storage: String,
    element: Element,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// What a storage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Float,
    Double,
    Half,
    BrainFloat,
    Long,
    Int,
}

impl Element {
    fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "torch.FloatStorage" => Self::Float,
            "torch.DoubleStorage" => Self::Double,
            "torch.HalfStorage" => Self::Half,
            "torch.BFloat16Storage" => Self::BrainFloat,
            "torch.LongStorage" => Self::Long,
            "torch.IntStorage" => Self::Int,
            _ => return None,
        })
    }

    pub(super) fn size(self) -> usize {
        match self {
            Self::Double | Self::Long => 8,
            Self::Float | Self::Int => 4,
            Self::Half | Self::BrainFloat => 2,
        }
    }

    pub(super) fn decode(self, bytes: &[u8]) -> f32 {
        let bits = bytes.iter().rev().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        match self {
            Self::Float => f32::from_bits(bits as u32),
            Self::Double => f64::from_bits(bits) as f32,
            Self::Half => crate::import::half(bits as u16),
            Self::BrainFloat => f32::from_bits((bits as u32) << 16),
            Self::Long => bits as i64 as f32,
            Self::Int => bits as u32 as i32 as f32,
        }
    }
}

impl Tensor {
    /// Its numbers out of the storage.
    pub(super) fn array(&self, storage: &[u8]) -> Result<ArrayD<f32>, String> {
        let available = storage.len() / self.element.size();
        let elements = self.shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        let last =
            self.shape.iter().zip(&self.strides).try_fold(self.offset, |at, (&size, &stride)| {
                at.checked_add(size.saturating_sub(1).checked_mul(stride)?)
            });
        if elements.is_none_or(|n| n > available) || last.is_none_or(|last| last >= available && elements != Some(0)) {
            return Err(format!(
                "expected a view of {available} numbers, found shape {:?} from {}",
                self.shape, self.offset
            ));
        }
        let array = ArrayD::from_shape_fn(IxDyn(&self.shape), |index| {
            let at: usize = (0..self.shape.len()).map(|axis| index[axis] * self.strides[axis]).sum();
            let start = (self.offset + at) * self.element.size();
            self.element.decode(&storage[start..start + self.element.size()])
        });
        Ok(array)
    }
}

/// A value of the machine. Dictionaries keep of their entries only what a state dictionary needs, so that no value can
/// contain itself; tuples know how deep they are nested.
#[derive(Clone)]
enum Value {
    Mark,
    None,
    Integer(i64),
    Other,
    Text(Rc<str>),
    Tuple(Rc<Tuple>),
    Dictionary(Rc<RefCell<Vec<Entry>>>),
    List,
    Global(Rc<str>),
    Storage(Rc<str>, Element),
    Tensor(Rc<Tensor>),
}

#[derive(Default)]
struct Tuple {
    items: Vec<Value>,
    /// 1 for a tuple without tuples.
    depth: usize,
}

/// An entry of a dictionary: its key where that is text, its value where that is a tensor; else what they are.
type Entry = (Result<Rc<str>, &'static str>, Result<Rc<Tensor>, &'static str>);

impl Item for Value {
    fn is_mark(&self) -> bool {
        matches!(self, Self::Mark)
    }
}

impl Value {
    /// What it is, for messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Mark => "a mark",
            Self::None => "None",
            Self::Integer(_) => "a number",
            Self::Other => "a number or truth value",
            Self::Text(_) => "text",
            Self::Tuple(_) => "a tuple",
            Self::Dictionary(_) => "a dictionary",
            Self::List => "a list",
            Self::Global(_) => "a function",
            Self::Storage(..) => "a storage",
            Self::Tensor(_) => "a tensor",
        }
    }

    fn depth(&self) -> usize {
        if let Self::Tuple(tuple) = self { tuple.depth } else { 0 }
    }
}

/// Reads the pickle of a state dictionary; the order of its entries is kept.
pub(super) fn state_dictionary(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    let mut machine = Machine { input: Unpickler::new(bytes), nested: None };
    let top = machine.run()?;
    if let Some(tensors) = machine.nested {
        return Ok(tensors);
    }
    let Value::Dictionary(entries) = top else {
        return Err("expected a dictionary of tensors: save model.state_dict()".into());
    };
    tensors_of(&entries.borrow())
}

/// Keys of a checkpoint under which training programs keep the state dictionary.
const NESTED: [&str; 7] = ["state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights"];

fn tensors_of(entries: &[Entry]) -> Result<Vec<Tensor>, String> {
    let mut tensors = Vec::new();
    for (key, value) in entries {
        let name = key.as_ref().map_err(|found| format!("expected names as keys, found {found}"))?;
        let tensor = value
            .as_ref()
            .map_err(|found| format!("expected a tensor as '{name}', found {found}: save model.state_dict()"))?;
        tensors.push(Tensor { name: name.to_string(), ..Tensor::clone(tensor) });
    }
    Ok(tensors)
}

struct Machine<'a> {
    input: Unpickler<'a, Value>,
    /// The state dictionary within a checkpoint, if there is one.
    nested: Option<Vec<Tensor>>,
}

/// Deepest nesting of tuples; a tensor's arguments take two.
const MAX_DEPTH: usize = 32;

impl Machine<'_> {
    fn run(&mut self) -> Result<Value, String> {
        loop {
            let place = self.input.at;
            let code = self.input.take(1)?[0];
            match code {
                b'.' => return self.input.pop(),
                0x80 => drop(self.input.take(1)?),
                0x95 => drop(self.input.take(8)?),
                b'(' => self.input.stack.push(Value::Mark),
                b'N' => self.input.stack.push(Value::None),
                0x88 | 0x89 => self.input.stack.push(Value::Other),
                b'K' => self.integer(1)?,
                b'M' => self.integer(2)?,
                b'J' => {
                    let bytes = self.input.take(4)?;
                    self.input
                        .stack
                        .push(Value::Integer(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into()));
                }
                0x8a => {
                    let length = usize::from(self.input.take(1)?[0]);
                    let bytes = self.input.take(length)?;
                    let sign = if bytes.last().is_some_and(|byte| byte >> 7 == 1) { -1 } else { 0 };
                    if length > 8 {
                        return Err(format!("expected numbers of 64 bits, found {length} bytes at {place}"));
                    }
                    self.input
                        .stack
                        .push(Value::Integer(bytes.iter().rev().fold(sign, |n: i64, &byte| n << 8 | i64::from(byte))));
                }
                b'G' => {
                    self.input.take(8)?;
                    self.input.stack.push(Value::Other);
                }
                b'X' => {
                    let bytes = self.input.take(4)?;
                    let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                    self.text(length as usize)?;
                }
                0x8c => {
                    let length = usize::from(self.input.take(1)?[0]);
                    self.text(length)?;
                }
                b'}' => self.input.stack.push(Value::Dictionary(Rc::default())),
                b']' => self.input.stack.push(Value::List),
                b')' => self.input.stack.push(Value::Tuple(Rc::default())),
                b't' => {
                    let items = self.input.pop_to_mark()?;
                    self.tuple(items, place)?;
                }
                0x85..=0x87 => {
                    let items = self.input.pop_last(usize::from(code - 0x84))?;
                    self.tuple(items, place)?;
                }
                b'q' => {
                    let index = usize::from(self.input.take(1)?[0]);
                    self.remember(index)?;
                }
                b'r' => {
                    let index = self.input.number(4)?;
                    self.remember(index)?;
                }
                0x94 => self.remember(self.input.remembered())?,
                b'h' => {
                    let index = usize::from(self.input.take(1)?[0]);
                    self.input.recall(index)?;
                }
                b'j' => {
                    let index = self.input.number(4)?;
                    self.input.recall(index)?;
                }
                b'c' => {
                    let (module, name) = (self.input.line("a name")?, self.input.line("a name")?);
                    self.input.stack.push(Value::Global(format!("{module}.{name}").into()));
                }
                0x93 => match (self.input.pop()?, self.input.pop()?) {
                    (Value::Text(name), Value::Text(module)) => {
                        self.input.stack.push(Value::Global(format!("{module}.{name}").into()))
                    }
                    _ => return Err(format!("expected the name of a function at {place}")),
                },
                b'Q' => self.persistent(place)?,
                b'R' => self.call(place)?,
                // State of an object: attributes of the dictionary itself say nothing about its tensors.
                b'b' => drop(self.input.pop()?),
                b's' => {
                    let (value, key) = (self.input.pop()?, self.input.pop()?);
                    self.set(vec![key, value], place)?;
                }
                b'u' => {
                    let items = self.input.pop_to_mark()?;
                    self.set(items, place)?;
                }
                b'a' => drop(self.input.pop()?),
                b'e' => drop(self.input.pop_to_mark()?),
                code => return Err(format!("expected a state dictionary, found pickle code {code:#04x} at {place}")),
            }
        }
    }

    fn integer(&mut self, size: usize) -> Result<(), String> {
        let number = self.input.number(size)?;
        self.input.stack.push(Value::Integer(number as i64));
        Ok(())
    }

    fn text(&mut self, length: usize) -> Result<(), String> {
        let place = self.input.at;
        let text = std::str::from_utf8(self.input.take(length)?).map_err(|_| format!("expected text at {place}"))?;
        self.input.stack.push(Value::Text(text.into()));
        Ok(())
    }

    fn remember(&mut self, index: usize) -> Result<(), String> {
        let value = self.input.stack.last().cloned().ok_or("expected a value to remember")?;
        // Every remembered value takes a byte or more to make.
        self.input.remember(index, value, self.input.len(), Value::None)
    }

    fn tuple(&mut self, items: Vec<Value>, place: usize) -> Result<(), String> {
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or(0);
        if depth > MAX_DEPTH {
            return Err(format!("expected at most {MAX_DEPTH} tuples within each other, found more at {place}"));
        }
        self.input.stack.push(Value::Tuple(Rc::new(Tuple { items, depth })));
        Ok(())
    }

    /// A storage: ('storage', class, key, device, size).
    fn persistent(&mut self, place: usize) -> Result<(), String> {
        let Value::Tuple(parts) = self.input.pop()? else { return Err(format!("expected a storage at {place}")) };
        let (Some(Value::Global(class)), Some(Value::Text(key))) = (parts.items.get(1), parts.items.get(2)) else {
            return Err(format!("expected a storage at {place}"));
        };
        let element = Element::of_storage(class).ok_or_else(|| format!("expected real numbers, found {class}"))?;
        self.input.stack.push(Value::Storage(key.clone(), element));
        Ok(())
    }

    fn call(&mut self, place: usize) -> Result<(), String> {
        let (arguments, function) = (self.input.pop()?, self.input.pop()?);
        let (Value::Tuple(arguments), Value::Global(function)) = (arguments, function) else {
            return Err(format!("expected a call at {place}"));
        };
        let arguments = &arguments.items;
        let result = match &function[..] {
            "collections.OrderedDict" => Value::Dictionary(Rc::default()),
            "torch._utils._rebuild_tensor_v2" => {
                let counts = |value: Option<&Value>| match value {
                    Some(Value::Tuple(tuple)) => tuple
                        .items
                        .iter()
                        .map(|item| if let Value::Integer(n) = item { usize::try_from(*n).ok() } else { None })
                        .collect::<Option<Vec<usize>>>(),
                    _ => None,
                };
                let offset = match arguments.get(1) {
                    Some(Value::Integer(offset)) => usize::try_from(*offset).ok(),
                    _ => None,
                };
                match (arguments.first(), offset, counts(arguments.get(2)), counts(arguments.get(3))) {
                    (Some(Value::Storage(key, element)), Some(offset), Some(shape), Some(strides))
                        if shape.len() == strides.len() =>
                    {
                        let storage = key.to_string();
                        Value::Tensor(Rc::new(Tensor {
                            name: String::new(),
                            storage,
                            element: *element,
                            offset,
                            shape,
                            strides,
                        }))
                    }
                    _ => return Err(format!("expected a tensor at {place}")),
                }
            }
            "torch._utils._rebuild_parameter" => match arguments.first() {
                Some(tensor @ Value::Tensor(_)) => tensor.clone(),
                _ => return Err(format!("expected a parameter at {place}")),
            },
            other => return Err(format!("expected tensors only, found a '{other}': save model.state_dict()")),
        };
        self.input.stack.push(result);
        Ok(())
    }

    fn set(&mut self, items: Vec<Value>, place: usize) -> Result<(), String> {
        let Some(Value::Dictionary(dictionary)) = self.input.stack.last().cloned() else {
            return Err(format!("expected a dictionary at {place}"));
        };
        let dictionary = &dictionary;
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            // What a checkpoint has besides, as the state of an optimiser, is of no interest.
            if let (Value::Text(name), Value::Dictionary(inner), None) = (&key, &value, &self.nested)
                && NESTED.contains(&&name[..])
                && !Rc::ptr_eq(inner, dictionary)
            {
                self.nested = Some(tensors_of(&inner.borrow())?);
            }
            let key = if let Value::Text(text) = key { Ok(text) } else { Err(key.kind()) };
            let value = if let Value::Tensor(tensor) = value { Ok(tensor) } else { Err(value.kind()) };
            dictionary.borrow_mut().push((key, value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that makes a tensor of two numbers.
    const TENSOR: &[u8] =
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\
        \x00\x000X\x03\x00\x00\x00cpuK\x02tQK\x00K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR";

    fn text(text: &str) -> Vec<u8> {
        [&[b'X'][..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
    }

    #[test]
    fn a_checkpoint_holds_a_state_dictionary() {
        let state = [b"}(".to_vec(), text("fc.weight"), TENSOR.to_vec(), b"u".to_vec()].concat();
        let plain = [b"\x80\x02".to_vec(), state.clone(), b".".to_vec()].concat();
        let checkpoint = |key: &str| {
            let start = [b"\x80\x02}(".to_vec(), text("epoch"), b"K\x03".to_vec(), text(key)].concat();
            let rest = [text("optimizer"), b"}".to_vec(), b"u.".to_vec()].concat();
            [start, state.clone(), rest].concat()
        };
        let names = |bytes: &[u8]| -> Result<Vec<String>, String> {
            Ok(state_dictionary(bytes)?.into_iter().map(|tensor| tensor.name).collect())
        };
        assert_eq!(names(&plain).unwrap(), ["fc.weight"]);
        assert_eq!(names(&checkpoint("state_dict")).unwrap(), ["fc.weight"]);
        assert_eq!(names(&checkpoint("model_state_dict")).unwrap(), ["fc.weight"]);
        let error = names(&checkpoint("something")).unwrap_err();
        assert!(error.contains("expected a tensor as 'epoch', found a number"), "{error}");
        // A dictionary within itself.
        let bytes = [b"\x80\x02}q\x00".to_vec(), text("state_dict"), b"h\x00s.".to_vec()].concat();
        assert!(names(&bytes).is_err());
    }
}
