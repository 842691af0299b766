//! NumPy's `.npy` and `.npz` formats. Reading is row by row: only the wanted samples are kept, whatever the header
//! announces.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

mod archive;
mod write;

pub use archive::{NpzError, NpzReader};
pub use write::{Element, NpzWriter, header, write};

use flate2::bufread::GzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use zip::read::ZipFile;

/// Where an array is read from.
pub trait Source: Read {
    /// Passes over bytes; returns how many there were.
    fn skip(&mut self, bytes: u64) -> io::Result<u64>;
}

/// Reads bytes that cannot be jumped over.
fn read_over(source: &mut dyn Read, bytes: u64) -> io::Result<u64> {
    io::copy(&mut source.take(bytes), &mut io::sink())
}

impl Source for &[u8] {
    fn skip(&mut self, bytes: u64) -> io::Result<u64> {
        read_over(self, bytes)
    }
}

impl<R: Read> Source for ZipFile<'_, R> {
    fn skip(&mut self, bytes: u64) -> io::Result<u64> {
        read_over(self, bytes)
    }
}

impl<R: BufRead> Source for GzDecoder<R> {
    fn skip(&mut self, bytes: u64) -> io::Result<u64> {
        read_over(self, bytes)
    }
}

impl Source for BufReader<File> {
    fn skip(&mut self, bytes: u64) -> io::Result<u64> {
        self.seek_relative(i64::try_from(bytes).map_err(io::Error::other)?)?;
        Ok(bytes)
    }
}

impl<S: Source + ?Sized> Source for &mut S {
    fn skip(&mut self, bytes: u64) -> io::Result<u64> {
        (**self).skip(bytes)
    }
}

/// Bytes that the arrays of a compressed model of this size may have together. Deflate shrinks at most 1,032 to 1, but
/// trained weights hardly shrink; a small file of many zeros is let through up to a size that any computer has room
/// for.
pub fn inflated(file_size: u64) -> u64 {
    file_size.saturating_mul(1032).min(file_size.saturating_mul(64).max(1 << 28))
}

/// Most bytes that are read only to compare the check sum behind them.
const MAX_CHECKED: u64 = 1 << 28;

/// Expects an archived array to end here, and its check sum to be right.
pub fn expect_end(source: &mut dyn Read) -> Result<(), String> {
    match source.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err("expected the end after the numbers that its header announces, found more".into()),
        Err(error) => Err(format!("damaged: {error}")),
    }
}

/// Reads what is left of an archived array up to its check sum, so that damage shows even where only a part is wanted;
/// not where that would take long.
pub fn check_rest(source: &mut dyn Read) -> Result<(), String> {
    let rest = io::copy(&mut source.take(MAX_CHECKED), &mut io::sink());
    rest.map(drop).map_err(|error| format!("damaged: {error}"))
}

/// Which rows of an array are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// First row.
    pub skip: usize,
    /// Number of rows.
    pub take: usize,
}

/// Some rows of an array.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Shape of the whole array.
    pub shape: Vec<usize>,
    /// The wanted rows, last axis fastest.
    pub values: Vec<f32>,
    /// Whether it is stored as `uint8`.
    pub is_bytes: bool,
}

/// Reads an array of real numbers; `most` is the number of bytes that the source can hold.
pub fn read(source: &mut dyn Source, rows: Rows, most: u64) -> Result<Array, String> {
    let header = Header::read(source)?;
    read_rows(source, header, rows, most)
}

/// Shows rows of an array, at most `piece` at a time: the number of the first among the wanted ones, and the rows. Of
/// arrays whose first axis is the fastest the wanted rows are shown at once.
pub fn visit(
    source: &mut dyn Source,
    rows: Rows,
    most: u64,
    piece: usize,
    see: &mut dyn FnMut(usize, Array) -> Result<(), String>,
) -> Result<(), String> {
    let header = Header::read(source)?;
    visit_rows(source, header, rows, most, piece, see)
}

/// Shows rows of an array in the format of the MNIST files; see [`visit`] and [`read_idx`].
pub fn visit_idx(
    source: &mut dyn Source,
    rows: Rows,
    most: u64,
    piece: usize,
    see: &mut dyn FnMut(usize, Array) -> Result<(), String>,
) -> Result<(), String> {
    let header = Header::read_idx(source)?;
    visit_rows(source, header, rows, most, piece, see)
}

/// Reads an array in the format of the MNIST files, IDX: two zeros, the kind of number, how many axes, their sizes, the
/// numbers; all with the most significant byte first.
pub fn read_idx(source: &mut dyn Source, rows: Rows, most: u64) -> Result<Array, String> {
    let header = Header::read_idx(source)?;
    read_rows(source, header, rows, most)
}

fn read_rows(source: &mut dyn Source, header: Header, rows: Rows, most: u64) -> Result<Array, String> {
    let mut whole = Array { shape: header.shape.clone(), values: Vec::new(), is_bytes: header.is_bytes() };
    visit_rows(source, header, rows, most, usize::MAX, &mut |_, array| {
        whole = array;
        Ok(())
    })?;
    Ok(whole)
}

fn visit_rows(
    source: &mut dyn Source,
    header: Header,
    rows: Rows,
    most: u64,
    piece: usize,
    see: &mut dyn FnMut(usize, Array) -> Result<(), String>,
) -> Result<(), String> {
    let bytes = header.elements.and_then(|n| n.checked_mul(header.number.size));
    if bytes.is_none_or(|bytes| bytes as u64 > most) {
        return Err(format!("expected an array that a file of this size can hold, found shape {:?}", header.shape));
    }
    let elements = header.elements.unwrap_or(0);
    let total = header.shape.first().copied().unwrap_or(1);
    let row = elements / total.max(1);
    let skip = rows.skip.min(total);
    let take = rows.take.min(total - skip);
    let is_bytes = header.is_bytes();
    let pass = |source: &mut dyn Source, numbers: usize| {
        let bytes = (numbers * header.number.size) as u64;
        match source.skip(bytes) {
            Ok(skipped) if skipped == bytes => Ok(()),
            Ok(_) => Err(format!("expected {total} rows of {row} numbers, found the end in those skipped")),
            Err(error) => Err(error.to_string()),
        }
    };
    if header.fortran_order && header.shape.len() > 1 {
        // Rows are spread over the whole array: each place in a row has its number for all rows, one after another.
        let mut values = Vec::new();
        for _ in 0..if take == 0 { 0 } else { row } {
            pass(source, skip)?;
            numbers(source, take, header.number, &mut values)?;
            pass(source, total - skip - take)?;
        }
        let values = transposed_rows(&values, &header.shape, take);
        return see(0, Array { shape: header.shape, values, is_bytes });
    }
    pass(source, skip * row)?;
    let mut done = 0;
    while done < take || done == 0 {
        let now = (take - done).min(piece.max(1));
        let mut values = Vec::new();
        numbers(source, now * row, header.number, &mut values)?;
        see(done, Array { shape: header.shape.clone(), values, is_bytes })?;
        done += now;
        if now == 0 {
            break;
        }
    }
    Ok(())
}

/// Reads a whole array in the order of its axes.
pub fn read_array(source: &mut dyn Source, most: u64) -> Result<ndarray::ArrayD<f32>, String> {
    let Array { shape, values, .. } = read(source, Rows { skip: 0, take: usize::MAX }, most)?;
    ndarray::ArrayD::from_shape_vec(shape, values).map_err(|error| error.to_string())
}

struct Header {
    number: Number,
    fortran_order: bool,
    shape: Vec<usize>,
    /// Product of the shape, if it can be counted.
    elements: Option<usize>,
}

/// An element type, as in `<f4`.
#[derive(Debug, Clone, Copy)]
struct Number {
    kind: u8,
    size: usize,
    big_endian: bool,
}

impl Header {
    /// Whether numbers are stored as `uint8`.
    fn is_bytes(&self) -> bool {
        self.number.kind == b'u' && self.number.size == 1
    }

    /// Two zeros, the kind of number, how many axes, their sizes, all with the most significant byte first.
    fn read_idx(source: &mut dyn Read) -> Result<Self, String> {
        let mut exact = |n: usize| {
            let mut bytes = vec![0; n];
            let read = source.read_exact(&mut bytes);
            read.map(|()| bytes).map_err(|error| format!("expected an IDX header, found: {error}"))
        };
        let start = exact(4)?;
        let number = match start[..] {
            [0, 0, 0x08, _] => ">u1",
            [0, 0, 0x09, _] => ">i1",
            [0, 0, 0x0b, _] => ">i2",
            [0, 0, 0x0c, _] => ">i4",
            [0, 0, 0x0d, _] => ">f4",
            [0, 0, 0x0e, _] => ">f8",
            _ => return Err(format!("expected an IDX file, found bytes {start:02x?}")),
        };
        let number = Number::parse(number).ok_or("expected a known kind of number")?;
        let sizes = exact(4 * usize::from(start[3]))?;
        let sizes = sizes.chunks_exact(4).map(|size| size.iter().fold(0usize, |n, &byte| n << 8 | usize::from(byte)));
        let shape: Vec<usize> = sizes.collect();
        let elements = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        Ok(Self { number, fortran_order: false, shape, elements })
    }

    fn read(source: &mut dyn Read) -> Result<Self, String> {
        let mut exact = |n: usize| {
            let mut bytes = vec![0; n];
            let read = source.read_exact(&mut bytes);
            read.map(|()| bytes).map_err(|error| format!("expected a .npy header, found: {error}"))
        };
        let start = exact(8)?;
        if !start.starts_with(b"\x93NUMPY") {
            return Err(format!("expected a .npy array, found bytes {start:02x?}"));
        }
        let length = match start[6] {
            1 => exact(2)?,
            2 | 3 => exact(4)?,
            version => return Err(format!("expected .npy version 1, 2 or 3, found {version}")),
        };
        let length = length.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
        // A header of more than 64 KiB describes no array of numbers.
        if length > 1 << 16 {
            return Err(format!("expected a header of at most 65536 bytes, found {length}"));
        }
        let text = String::from_utf8(exact(length)?).map_err(|_| "expected a header of text".to_string())?;
        let value = |key: &str| {
            let after = text.split_once(&format!("'{key}':")).map(|(_, after)| after.trim_start());
            after.ok_or_else(|| format!("expected '{key}' in the header, found {:?}", text.trim()))
        };
        let descr = value("descr")?;
        let number = descr.strip_prefix('\'').and_then(|rest| Number::parse(rest.split('\'').next()?));
        let number = number.ok_or_else(|| {
            let found = descr.split(", 'fortran").next().unwrap_or(descr);
            format!("expected an array of real numbers, found elements {found}")
        })?;
        let fortran_order = match value("fortran_order")? {
            order if order.starts_with("False") => false,
            order if order.starts_with("True") => true,
            other => return Err(format!("expected 'fortran_order' True or False, found {other:?}")),
        };
        let tuple = value("shape")?.strip_prefix('(').and_then(|rest| rest.split(')').next());
        let shape = tuple.and_then(|tuple| {
            let sizes = tuple.split(',').map(str::trim).filter(|size| !size.is_empty());
            sizes.map(|size| size.parse().ok()).collect::<Option<Vec<usize>>>()
        });
        let shape =
            shape.ok_or_else(|| format!("expected a 'shape' of sizes in the header, found {:?}", text.trim()))?;
        let elements = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        Ok(Self { number, fortran_order, shape, elements })
    }
}

impl Number {
    fn parse(descr: &str) -> Option<Self> {
        let (order, rest) = descr.split_at_checked(1)?;
        let (kind, size) = rest.split_at_checked(1)?;
        let size: usize = size.parse().ok()?;
        let big_endian = match order {
            "<" | "|" => false,
            ">" => true,
            _ => return None,
        };
        let kind = kind.as_bytes()[0];
        let is_known = matches!((kind, size), (b'f', 2 | 4 | 8) | (b'u' | b'i', 1 | 2 | 4 | 8) | (b'b', 1));
        is_known.then_some(Self { kind, size, big_endian })
    }

    /// Appends all numbers of these bytes. Most files hold one of the first two kinds.
    fn decode_all(self, bytes: &[u8], values: &mut Vec<f32>) {
        match (self.kind, self.size, self.big_endian) {
            (b'f', 4, false) => values.extend(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes))),
            (b'u', 1, _) => values.extend(bytes.iter().map(|&byte| f32::from(byte))),
            _ => values.extend(bytes.chunks_exact(self.size).map(|bytes| self.decode(bytes))),
        }
    }

    fn decode(self, bytes: &[u8]) -> f32 {
        let mut little = [0; 8];
        little[..self.size].copy_from_slice(bytes);
        if self.big_endian {
            little[..self.size].reverse();
        }
        let unsigned = u64::from_le_bytes(little);
        match (self.kind, self.size) {
            (b'f', 2) => half(unsigned as u16),
            (b'f', 4) => f32::from_bits(unsigned as u32),
            (b'f', _) => f64::from_bits(unsigned) as f32,
            (b'i', size) => {
                let unused = 64 - 8 * size as u32;
                (((unsigned << unused) as i64) >> unused) as f32
            }
            (b'b', _) => f32::from(u8::from(unsigned != 0)),
            _ => unsigned as f32,
        }
    }
}

/// An IEEE half-precision number.
pub fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023) / 1024.0);
    sign * match exponent {
        0 => fraction * 2f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1.0 + fraction) * 2f32.powi(exponent - 15),
    }
}

/// Appends the next `count` numbers. Memory grows with what is there, not with what is announced.
fn numbers(source: &mut dyn Read, count: usize, number: Number, values: &mut Vec<f32>) -> Result<(), String> {
    const BLOCK: usize = 8192;
    let mut buffer = [0; BLOCK * 8];
    let mut done = 0;
    while done < count {
        let block = (count - done).min(BLOCK);
        let bytes = &mut buffer[..block * number.size];
        source
            .read_exact(bytes)
            .map_err(|error| format!("expected {count} numbers, found the end or damage after {done}: {error}"))?;
        number.decode_all(bytes, values);
        done += block;
    }
    Ok(())
}

/// All numbers of `rows` rows, the first axis the fastest, in the order of the axes; `shape` has another number of
/// rows.
fn transposed_rows(all: &[f32], shape: &[usize], rows: usize) -> Vec<f32> {
    let row: usize = shape[1..].iter().product();
    let mut values = Vec::with_capacity(all.len());
    for sample in 0..if all.is_empty() { 0 } else { rows } {
        for element in 0..row {
            // From the last axis, which counts fastest here, to the second; strides are products of the axes before.
            let mut rest = element;
            let mut at = sample;
            let mut stride = rows * row;
            for &size in shape[1..].iter().rev() {
                stride /= size;
                at += rest % size * stride;
                rest /= size;
            }
            values.push(all[at]);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(data);
        file
    }

    fn all(file: &[u8]) -> Result<Array, String> {
        read(&mut &file[..], Rows { skip: 0, take: usize::MAX }, file.len() as u64)
    }

    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (0x0001, 5.960_464_5e-8), (0x7bff, 65504.0)]
        {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }

    #[test]
    fn every_kind_of_number_is_decoded() {
        for (descr, data, value) in [
            ("<f4", &(-1.5f32).to_le_bytes()[..], -1.5),
            (">f8", &2.25f64.to_be_bytes()[..], 2.25),
            ("|u1", &[200], 200.0),
            ("|i1", &[0xff], -1.0),
            (">i2", &(-300i16).to_be_bytes()[..], -300.0),
            ("<i8", &(-7i64).to_le_bytes()[..], -7.0),
            ("<u4", &70_000u32.to_le_bytes()[..], 70_000.0),
            ("|b1", &[1], 1.0),
        ] {
            let array = all(&npy(descr, "False", "(1,)", data)).unwrap();
            assert_eq!((array.values, array.is_bytes), (vec![value], descr == "|u1"), "{descr}");
        }
    }

    #[test]
    fn rows_are_cut_out_in_either_order() {
        let data: Vec<u8> = (0..12).collect();
        let c = npy("|u1", "False", "(3, 2, 2)", &data);
        let fortran = npy("|u1", "True", "(3, 2, 2)", &data);
        let rows = Rows { skip: 1, take: 1 };
        assert_eq!(read(&mut &c[..], rows, 100).unwrap().values, [4.0, 5.0, 6.0, 7.0]);
        // Element (i, j, k) is at i + 3 (j + 2 k).
        assert_eq!(read(&mut &fortran[..], rows, 100).unwrap().values, [1.0, 7.0, 4.0, 10.0]);
        assert!(read(&mut &c[..], Rows { skip: 9, take: 1 }, 100).unwrap().values.is_empty());
    }

    #[test]
    fn pieces_are_the_whole() {
        let file = npy("|u1", "False", "(5, 2)", &(0..10).collect::<Vec<u8>>());
        let mut seen = Vec::new();
        let rows = Rows { skip: 1, take: 9 };
        visit(&mut &file[..], rows, 100, 3, &mut |first, array| {
            seen.push((first, array.values));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(0, (2u8..8).map(f32::from).collect()), (3, vec![8.0, 9.0])]);
    }

    #[test]
    fn a_header_is_read_again() {
        for shape in [vec![3], vec![2, 5], vec![1_000_000, 1_000_000, 10]] {
            let bytes = header::<f32>(&shape);
            assert_eq!(bytes.len() % 64, 0);
            assert_eq!(Header::read(&mut &bytes[..]).unwrap().shape, shape);
        }
    }

    #[test]
    fn more_than_there_can_be_is_refused() {
        let huge = npy("<f4", "False", "(1000000000, 1000000000)", &[0; 4]);
        assert!(all(&huge).unwrap_err().contains("can hold"));
        let short = npy("<f4", "False", "(3,)", &[0; 8]);
        assert!(all(&short).unwrap_err().contains("the end or damage after 0"));
        assert!(all(&npy("<c8", "False", "(1,)", &[0; 8])).unwrap_err().contains("real numbers"));
        assert!(all(b"").unwrap_err().contains("header"));
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..90, byte: u8, cut in 0usize..100) {
            let mut file = npy("<i2", "True", "(2, 3)", &[1; 12]);
            let end = file.len();
            file[at.min(end - 1)] = byte;
            file.truncate(cut);
            let _ = all(&file);
        }
    }
}
