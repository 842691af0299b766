//! Addresses of several arrays in one row.

use super::*;

/// The column of an event in the row; none of an event outside its array.
pub(super) fn flattened(ports: &[FlattenPort], port: usize, event: &Event) -> Option<i32> {
    let FlattenPort { nx, ny } = ports[port];
    let before: u32 = ports[..port].iter().map(|port| port.nx * port.ny).sum();
    let inside = event.x >= 0 && event.y >= 0 && (event.x as u32) < nx && (event.y as u32) < ny;
    inside.then(|| before as i32 + event.y * nx as i32 + event.x)
}
