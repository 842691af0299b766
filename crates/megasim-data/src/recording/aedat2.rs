//! AEDAT 2.0 of jAER: comment lines, then address and timestamp of each event, both 32 bits, big endian.
//!
//! What an address means depends on the camera, which the line `# AEChip: ...` names; without it, it is a DVS128.

use super::{CameraEvent, RecordingError, comments, flaw, take};

type Read = (Option<(u16, u16)>, Vec<CameraEvent>);

pub(super) fn read(bytes: &[u8]) -> Result<Read, RecordingError> {
    let (lines, start) = comments(bytes);
    let chip = lines.iter().find_map(|line| line.strip_prefix("# AEChip:")).map_or("DVS128", str::trim);
    let davis = |size| Ok((size, true));
    let (size, is_davis) = match chip {
        chip if chip.contains("DVS128") => Ok(((128, 128), false)),
        chip if chip.contains("DAVIS240") || chip.contains("Davis240") => davis((240, 180)),
        chip if chip.contains("DAVIS346") || chip.contains("Davis346") => davis((346, 260)),
        other => Err(flaw(0, format!("expected a DVS128, DAVIS240 or DAVIS346 as AEChip, found {other}"))),
    }?;
    let mut events = Vec::new();
    let (mut wraps, mut last) = (0i64, 0u32);
    for at in (start..bytes.len()).step_by(8) {
        let event: [u8; 8] = take(bytes, at, "an event")?;
        let [a, b, c, d, e, f, g, h] = event;
        let (address, time) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        // The 32-bit clock of microseconds starts again after 71 minutes.
        if time < last && last - time > 1 << 31 {
            wraps += 1 << 32;
        }
        last = time;
        let t = wraps + i64::from(time);
        let (x, y, on) = if is_davis {
            // Frames and inertial data have the highest bit; external events bit 10.
            if address >> 31 == 1 || address >> 10 & 1 == 1 {
                continue;
            }
            (address >> 12 & 0x3ff, address >> 22 & 0x1ff, address >> 11 & 1 == 1)
        } else {
            if address >> 15 & 1 == 1 {
                continue;
            }
            (address >> 1 & 0x7f, address >> 8 & 0x7f, address & 1 == 1)
        };
        events.push(CameraEvent { t, x: x as u16, y: y as u16, on });
    }
    Ok((Some(size), events))
}
