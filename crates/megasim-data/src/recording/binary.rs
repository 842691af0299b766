//! The binary files of N-MNIST and N-Caltech101: five bytes per event, `x`, `y`, then polarity (1 bit) and microseconds
//! (23 bits), big endian.
//!
//! An event with `y` = 240 says that 2^13 microseconds have passed. G. Orchard et al., "Converting static image
//! datasets to spiking neuromorphic datasets using saccades", Front. Neurosci. 9:437 (2015).

use super::{CameraEvent, RecordingError, flaw};

type Read = (Option<(u16, u16)>, Vec<CameraEvent>);

const OVERFLOW_ROW: u8 = 240;

pub(super) fn read(bytes: &[u8]) -> Result<Read, RecordingError> {
    let (whole, rest) = bytes.as_chunks::<5>();
    if !rest.is_empty() {
        return Err(flaw(
            bytes.len() - rest.len(),
            format!("expected events of 5 bytes, found {} at the end", rest.len()),
        ));
    }
    let mut events = Vec::with_capacity(whole.len());
    let mut passed = 0;
    for &[x, y, high, middle, low] in whole {
        if y == OVERFLOW_ROW {
            passed += 1 << 13;
            continue;
        }
        let t = passed + i64::from(u32::from_be_bytes([0, high & 0x7f, middle, low]));
        events.push(CameraEvent { t, x: x.into(), y: y.into(), on: high & 0x80 != 0 });
    }
    Ok((None, events))
}
