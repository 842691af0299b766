//! Where modules are: `[mesh]`, `[cores]`, and `[barrier]`.

use super::{Duration, Error, Located, Table, amount, energy, number, pattern, tile};
use megasim_core::engine::machine::{Acknowledge, Arbiter, Tile};
use std::ops::Range;

/// A mesh.
#[derive(Debug, Clone)]
pub(in super::super) struct MeshRule {
    pub span: Range<usize>,
    pub columns: u32,
    pub rows: u32,
    pub modules_per_tile: u32,
    pub time_east_west: Located<Duration>,
    pub time_north_south: Located<Duration>,
    pub energy_east_west: f64,
    pub energy_north_south: f64,
    pub acknowledge: Acknowledge,
    pub arbiter: Arbiter,
    pub input: Located<Tile>,
    pub place: Vec<(Located<glob::Pattern>, Located<Tile>)>,
}

/// When modules share a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Pack {
    /// Where a chip has too few cores for all modules.
    Auto,
    Always,
    Never,
}

/// How cores are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Placement {
    /// In the order of the network.
    Order,
    /// So that spikes take few hops.
    Traffic,
}

/// What cores hold, and chips of them.
#[derive(Debug, Clone)]
pub(in super::super) struct CoresRule {
    pub span: Range<usize>,
    pub neurons: Option<u32>,
    pub synapse_bits: Option<u32>,
    pub weight_bits: u32,
    pub axons: Option<u32>,
    pub chips: Option<Located<u32>>,
    pub pack: Pack,
    pub placement: Placement,
}

/// Steps.
#[derive(Debug, Clone)]
pub(in super::super) struct BarrierRule {
    pub step: Located<Duration>,
    pub least: Located<Duration>,
    pub most: Located<Duration>,
}

pub(super) fn mesh(table: Table<'_>) -> Result<MeshRule, Error> {
    let source = table.source;
    table.only(&[
        "columns",
        "rows",
        "modules_per_tile",
        "time_east_west",
        "time_north_south",
        "energy_east_west",
        "energy_north_south",
        "acknowledge",
        "arbiter",
        "input",
        "place",
    ])?;
    let nothing =
        |found: Option<Located<Duration>>| found.unwrap_or(Located { value: Duration::default(), span: 0..0 });
    let hop_energy = |key: &str| -> Result<f64, Error> {
        let value = table.get(key).map(|value| amount(source, key, value, energy, "3.0 pJ")).transpose()?;
        Ok(value.map_or(0.0, |value| value.value))
    };
    let acknowledge = match table.text("acknowledge")? {
        None => Acknowledge::default(),
        Some(word) => match word.value {
            "receiver" => Acknowledge::Receiver,
            "network" => Acknowledge::Network,
            other => {
                let message = format!("acknowledge: expected \"receiver\" or \"network\", found \"{other}\"");
                return Err(source.fault(word.span, message, None));
            }
        },
    };
    let (columns, rows) = (table.number("columns", 1)?, table.number("rows", 1)?);
    let (columns, rows) = (table.needed("columns", columns)?, table.needed("rows", rows)?);
    if u64::from(columns) * u64::from(rows) > 1 << 24 {
        return Err(source.fault(table.span, format!("expected at most 2^24 tiles, found {columns} x {rows}"), None));
    }
    let inside = |found: Located<Tile>| {
        if found.value.x < columns && found.value.y < rows {
            return Ok(found);
        }
        let hint = format!("columns run from 0 to {}, rows from 0 to {}", columns - 1, rows - 1);
        let message = format!("tile [{}, {}] is outside the mesh of {columns} x {rows}", found.value.x, found.value.y);
        Err(source.fault(found.span, message, Some(hint)))
    };
    let input = match table.get("input") {
        Some(value) => inside(tile(source, value)?)?,
        None => Located { value: Tile { x: 0, y: 0 }, span: 0..0 },
    };
    let mut place = Vec::new();
    if let Some(value) = table.get("place") {
        for (key, span, value) in Table::of(source, value, "place")?.entries() {
            place.push((pattern(source, key, span)?, inside(tile(source, value)?)?));
        }
    }
    Ok(MeshRule {
        columns,
        rows,
        modules_per_tile: table.number("modules_per_tile", 1)?.unwrap_or(1),
        time_east_west: nothing(table.time("time_east_west")?),
        time_north_south: nothing(table.time("time_north_south")?),
        energy_east_west: hop_energy("energy_east_west")?,
        energy_north_south: hop_energy("energy_north_south")?,
        acknowledge,
        arbiter: table.arbiter()?.map_or(Arbiter::default(), |arbiter| arbiter.value),
        input,
        place,
        span: table.span,
    })
}

pub(super) fn cores(table: Table<'_>) -> Result<CoresRule, Error> {
    table.only(&[
        "neurons_per_core",
        "synapse_bits_per_core",
        "weight_bits",
        "axons_per_core",
        "chips",
        "pack",
        "placement",
    ])?;
    let word = |key: &str, known: &[&str]| -> Result<usize, Error> {
        Ok(table.word(key, known)?.map_or(0, |word| word.value))
    };
    let chips = table.get("chips").map(|value| number(table.source, "chips", value, 1)).transpose()?;
    Ok(CoresRule {
        neurons: table.number("neurons_per_core", 1)?,
        synapse_bits: table.number("synapse_bits_per_core", 1)?,
        weight_bits: table.number("weight_bits", 1)?.unwrap_or(8),
        axons: table.number("axons_per_core", 1)?,
        chips,
        pack: [Pack::Auto, Pack::Always, Pack::Never][word("pack", &["auto", "always", "never"])?],
        placement: [Placement::Order, Placement::Traffic][word("placement", &["order", "traffic"])?],
        span: table.span,
    })
}

pub(super) fn barrier(table: Table<'_>) -> Result<BarrierRule, Error> {
    table.only(&["step", "least", "most"])?;
    let step = table.needed("step", table.time("step")?)?;
    if !step.value.is_positive() {
        return Err(table.source.fault(step.span, "step: expected a time above 0", None));
    }
    let least = table.time("least")?.unwrap_or(Located { value: Duration::default(), span: 0..0 });
    let most = table.time("most")?.unwrap_or_else(|| least.clone());
    if most.value < least.value {
        let message = format!("most: expected {} (least) or more, found {}", least.value, most.value);
        return Err(table.source.fault(most.span, message, None));
    }
    Ok(BarrierRule { step, least, most })
}
