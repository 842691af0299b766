//! AEDAT 4 of DV: a header and packets, FlatBuffers that may be compressed with LZ4 or Zstandard.
//!
//! ```text
//! "#!AER-DAT4.0\r\n"   IOHeader (its size first): compression, position of the table of packets, description
//! packet: stream (i32), size (i32), size bytes: a FlatBuffer, its size first, compressed or not;
//!     "EVTS" are events of 16 bytes
//! table of packets, from its position to the end, where there is one
//! ```

use super::{CameraEvent, RecordingError, flaw, take};
use std::io::Read as _;

type Read = (Option<(u16, u16)>, Vec<CameraEvent>);

const MAGIC: usize = 14;

/// Bytes that all packets of a file of this size may hold unpacked. Events shrink to a third or so; more is made to
/// fill memory.
fn most(file_size: usize) -> u64 {
    (file_size as u64).saturating_mul(64).max(1 << 24)
}

pub(super) fn read(bytes: &[u8]) -> Result<Read, RecordingError> {
    if bytes.get(12..MAGIC) != Some(b"\r\n") {
        return Err(flaw(12, "expected the end of the line '#!AER-DAT4.0'"));
    }
    let length = number(bytes, MAGIC)?;
    let start = MAGIC + 4 + length;
    let header = bytes
        .get(MAGIC..start)
        .ok_or_else(|| flaw(MAGIC, format!("expected a header of {length} bytes, found the end of the file")))?;
    let at = |flaw: RecordingError| RecordingError { at: flaw.at + MAGIC, ..flaw };
    let header = Table::root(header).map_err(at)?;
    let compression =
        header.field(0).map_err(at)?.map_or(Ok([0; 4]), |field| take(header.bytes, field, "a number")).map_err(at)?;
    let compression = i32::from_le_bytes(compression);
    if !(0..=4).contains(&compression) {
        return Err(flaw(MAGIC, format!("expected compression 0 to 4, found {compression}")));
    }
    let table = header
        .field(1)
        .map_err(at)?
        .map_or(Ok((-1i64).to_le_bytes()), |field| take(header.bytes, field, "a number"))
        .map_err(at)?;
    let end = match i64::from_le_bytes(table) {
        -1 => bytes.len(),
        table => {
            usize::try_from(table).ok().filter(|&table| (start..=bytes.len()).contains(&table)).ok_or_else(|| {
                flaw(
                    MAGIC,
                    format!(
                        "expected the table of packets between bytes {start} and {}, found it at {table}",
                        bytes.len()
                    ),
                )
            })?
        }
    };
    let mut left = most(bytes.len());
    if end < bytes.len() {
        // The table is not needed, but a file that ends within it is not whole.
        let table = unpack(&bytes[end..], compression, &mut left).map_err(|message| flaw(end, message))?;
        Table::root(&table).map_err(|fault| flaw(end, format!("table of packets: {}", fault.message)))?;
    }
    let mut at = start;
    let mut events = Vec::new();
    while at < end {
        let size = number(bytes, at + 4)?;
        let packet = at + 8;
        let content = bytes[..end].get(packet..packet.saturating_add(size)).ok_or_else(|| {
            flaw(
                at + 4,
                format!(
                    "expected a packet of {size} bytes, found {} bytes to the end of the packets",
                    end.saturating_sub(packet)
                ),
            )
        })?;
        let content = unpack(content, compression, &mut left).map_err(|message| flaw(packet, message))?;
        if content.get(8..12) == Some(b"EVTS") {
            read_events(&content, &mut events)
                .map_err(|fault| flaw(packet, format!("packet byte {}: {}", fault.at, fault.message)))?;
        }
        at = packet + size;
    }
    Ok((None, events))
}

/// An unsigned number of 32 bits as a length.
fn number(bytes: &[u8], at: usize) -> Result<usize, RecordingError> {
    Ok(u32::from_le_bytes(take(bytes, at, "a length")?) as usize)
}

/// The content of a packet; `left` is how many bytes it and those after it may have.
fn unpack(content: &[u8], compression: i32, left: &mut u64) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    if compression <= 2 && compression > 0 && !ends_as_lz4_does(content) {
        // The decoder does not miss it.
        return Err("expected the end of a frame of LZ4, found none".into());
    }
    let done = match compression {
        0 => return Ok(content.to_vec()),
        1 | 2 => lz4_flex::frame::FrameDecoder::new(content).take(*left + 1).read_to_end(&mut unpacked),
        _ => ruzstd::decoding::StreamingDecoder::new(content)
            .map_err(|error| format!("expected a packet compressed with Zstandard, found: {error}"))?
            .take(*left + 1)
            .read_to_end(&mut unpacked),
    };
    done.map_err(|error| format!("expected a compressed packet, found: {error}"))?;
    *left =
        left.checked_sub(unpacked.len() as u64).ok_or("expected packets of events, found more than memory is for")?;
    Ok(unpacked)
}

/// Whether the blocks of a frame of LZ4 lead to an end mark (a block of length 0) and, where a flag says so, a check
/// sum behind it, with which the content ends (LZ4 frame format 1.6).
fn ends_as_lz4_does(content: &[u8]) -> bool {
    let Some(&flags) = content.get(4) else { return false };
    let has = |bit: u8| usize::from(flags >> bit & 1);
    // Magic number, flags, block descriptor, size of the content, number of a dictionary, check sum of these.
    let mut at = 6 + 8 * has(3) + 4 * has(0) + 1;
    loop {
        let Ok(length) = number(content, at) else { return false };
        at += 4;
        if length == 0 {
            return at + 4 * has(2) == content.len();
        }
        // The highest bit says that the block is not compressed.
        at += (length & 0x7fff_ffff) + 4 * has(4);
    }
}

/// Events: a vector of structs of 16 bytes, `t: i64, x: i16, y: i16, on: bool`, in the first field.
fn read_events(content: &[u8], events: &mut Vec<CameraEvent>) -> Result<(), RecordingError> {
    let table = Table::root(content)?;
    let Some(field) = table.field(0)? else { return Ok(()) };
    let vector = field.saturating_add(number(content, field)?);
    let n = number(content, vector)?;
    let start = vector + 4;
    let length = n.checked_mul(16).filter(|&length| length <= content.len().saturating_sub(start));
    let length = length.ok_or_else(|| flaw(vector, format!("expected {n} events, found the end of the packet")))?;
    for at in (start..start + length).step_by(16) {
        let t = i64::from_le_bytes(take(content, at, "a time")?);
        let (x, y) =
            (i16::from_le_bytes(take(content, at + 8, "x")?), i16::from_le_bytes(take(content, at + 10, "y")?));
        let [on] = take(content, at + 12, "a polarity")?;
        let (Ok(x), Ok(y), 0..=1) = (u16::try_from(x), u16::try_from(y), on) else {
            return Err(flaw(
                at + 8,
                format!("expected x and y from 0 on and a polarity of 0 or 1, found {x}, {y}, {on}"),
            ));
        };
        events.push(CameraEvent { t, x, y, on: on == 1 });
    }
    Ok(())
}

/// A FlatBuffers table in a buffer with its size first.
struct Table<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Table<'b> {
    fn root(bytes: &'b [u8]) -> Result<Self, RecordingError> {
        let length = number(bytes, 0)?;
        if length > bytes.len() - 4 {
            return Err(flaw(0, format!("expected a buffer of {length} bytes, found {}", bytes.len() - 4)));
        }
        Ok(Self { bytes, at: 4 + number(bytes, 4)? })
    }

    /// Position of a field, if it is there.
    fn field(&self, number: usize) -> Result<Option<usize>, RecordingError> {
        let back = i64::from(i32::from_le_bytes(take(self.bytes, self.at, "a table")?));
        let vtable = usize::try_from(self.at as i64 - back)
            .map_err(|_| flaw(self.at, "expected a table's layout inside the buffer"))?;
        let size = usize::from(u16::from_le_bytes(take(self.bytes, vtable, "a table's layout")?));
        let entry = 4 + 2 * number;
        if entry + 2 > size {
            return Ok(None);
        }
        let offset = usize::from(u16::from_le_bytes(take(self.bytes, vtable + entry, "a table's layout")?));
        Ok(Some(self.at + offset).filter(|_| offset > 0))
    }
}
