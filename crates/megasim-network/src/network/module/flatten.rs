//! `module_flatten`: puts the addresses of its ports one after another.

use super::check::range;
use super::kind::{Kind, NodeValues, ReadArray};
use crate::network::NetworkError;

/// One input array of a flatten module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlattenPort {
    /// Columns.
    pub nx: u32,
    /// Rows.
    pub ny: u32,
}

impl Kind for Vec<FlattenPort> {
    fn ports(&self) -> usize {
        self.len()
    }

    fn check(&self) -> Result<(), NetworkError> {
        let sizes = self.iter().map(|port| u64::from(port.nx) * u64::from(port.ny));
        let total = sizes.fold(0, u64::saturating_add);
        if total > i32::MAX as u64 {
            return Err(range("Nx_array", "flattened addresses within 32 bits", total));
        }
        Ok(())
    }

    fn read_array(&self, port: usize) -> Option<ReadArray> {
        let FlattenPort { nx, ny } = self[port];
        Some(ReadArray { nx, ny, stops: false })
    }

    fn sent_array(&self) -> Option<(u64, u64)> {
        Some((self.iter().map(|port| u64::from(port.nx) * u64::from(port.ny)).sum(), 1))
    }

    fn passed(&self, read: &[Option<&NodeValues>]) -> Result<NodeValues, &'static str> {
        let mut values = Vec::new();
        for (port, read) in self.iter().zip(read) {
            let read = read.ok_or("values and spikes meet in a flatten module")?;
            let (nx, ny) = (port.nx as usize, port.ny as usize);
            let at = |x: usize, y: usize| if x < read.nx { read.values.get(y * read.nx + x).copied() } else { None };
            values.extend((0..ny).flat_map(|y| (0..nx).map(move |x| at(x, y).unwrap_or(0.0))));
        }
        Ok(NodeValues { nx: values.len().max(1), values })
    }
}
