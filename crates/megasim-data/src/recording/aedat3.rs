//! AEDAT 3.1 of cAER: comment lines up to `#!END-HEADER`, then packets of one type of event each; polarity events have
//! type 1. Little endian.

use super::{CameraEvent, RecordingError, comments, flaw, take};

type Read = (Option<(u16, u16)>, Vec<CameraEvent>);

const HEADER: usize = 28;
const POLARITY: u16 = 1;

pub(super) fn read(bytes: &[u8]) -> Result<Read, RecordingError> {
    let end = b"#!END-HEADER\r\n";
    let (_, comments_end) = comments(bytes);
    let at = bytes[..comments_end].windows(end.len()).position(|window| window == end);
    let mut at = at.ok_or_else(|| flaw(comments_end, "expected the line '#!END-HEADER', found none"))? + end.len();
    let mut events = Vec::new();
    while at < bytes.len() {
        let header: [u8; HEADER] = take(bytes, at, "a packet header")?;
        let short = |k: usize| u16::from_le_bytes([header[k], header[k + 1]]);
        let word = |k: usize| u32::from_le_bytes([header[k], header[k + 1], header[k + 2], header[k + 3]]);
        let (kind, size, overflow) = (short(0), word(4) as usize, word(12));
        let (capacity, number, valid) = (word(16) as usize, word(20) as usize, word(24) as usize);
        if number > capacity || valid > number {
            let message =
                format!("expected valid <= events <= capacity in a packet, found {valid}, {number}, {capacity}");
            return Err(flaw(at + 16, message));
        }
        let start = at + HEADER;
        let Some(length) = size.checked_mul(number).filter(|&length| length <= bytes.len() - start) else {
            let left = bytes.len() - start;
            return Err(flaw(
                at + 4,
                format!(
                    "expected {number} events of {size} bytes in a packet, found {left} bytes to the end of the file"
                ),
            ));
        };
        if kind == POLARITY {
            if size != 8 {
                return Err(flaw(at + 4, format!("expected polarity events of 8 bytes, found {size}")));
            }
            let before = events.len();
            for at in (start..start + length).step_by(8) {
                let [a, b, c, d, e, f, g, h] = take::<8>(bytes, at, "an event")?;
                let (data, time) = (u32::from_le_bytes([a, b, c, d]), i32::from_le_bytes([e, f, g, h]));
                if time < 0 {
                    return Err(flaw(at + 4, format!("expected a time of 0 or more, found {time}")));
                }
                if data & 1 == 1 {
                    let t = (i64::from(overflow) << 31) + i64::from(time);
                    let (x, y) = ((data >> 17) as u16, (data >> 2 & 0x7fff) as u16);
                    events.push(CameraEvent { t, x, y, on: data >> 1 & 1 == 1 });
                }
            }
            let found = events.len() - before;
            if found != valid {
                return Err(flaw(at + 24, format!("expected {valid} valid events in a packet, found {found}")));
            }
        }
        at = start + length;
    }
    Ok((None, events))
}
