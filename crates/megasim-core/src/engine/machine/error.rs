//! Errors of machine descriptions.

use crate::network::Tick;

/// A machine that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// A negative time.
    #[error("{what}: expected a time of 0 ticks or more, found {found}")]
    Negative {
        /// The quantity.
        what: &'static str,
        /// The time.
        found: Tick,
    },
    /// A step without length.
    #[error("a step behind a barrier takes 1 tick or more, found {0}")]
    Step(Tick),
    /// A rule of netfiles that has no meaning in steps of a machine.
    #[error("a module with {0} does not go with a barrier")]
    Barrier(&'static str),
    /// Made for another network.
    #[error("a machine with {machine} modules, but a network with {network}")]
    Modules {
        /// Modules of the machine.
        machine: usize,
        /// Modules of the network.
        network: usize,
    },
    /// A module on several cores that does not have its neurons on them, each at least one.
    #[error(
        "module {module} is on several cores: expected the first of its {neurons} neurons on each, rising from 0, and \
            a tile for each where there is a mesh"
    )]
    Split {
        /// Its number.
        module: usize,
        /// Its neurons.
        neurons: u64,
    },
    /// A tile outside the mesh.
    #[error("{who} is on tile ({x}, {y}), but the mesh has {columns} x {rows} tiles")]
    OutsideMesh {
        /// A module or source, by node name.
        who: String,
        /// Column.
        x: u32,
        /// Row.
        y: u32,
        /// Columns of the mesh.
        columns: u32,
        /// Rows of the mesh.
        rows: u32,
    },
}
