//! `megasim hardware`: the shipped machines, and whether a machine file fits a network.

use super::diagnostic;
use super::tables::boxed;
use super::{input, latency, print};
use clap::{Args, Subcommand};
use megasim::hardware::{self, Duration, Hardware, ModuleLayer, Resolved, SHIPPED};
use megasim::network::{Network, NodeId};
use megasim::study::latency::InputError;
use megasim::study::presentation::Presentation;
use miette::{Result, bail};
use std::path::{Path, PathBuf};

/// List the shipped machines, print one as a start for a file, or check a file against a network
///
/// Without arguments: the machines by name. With a name: its file.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// A shipped machine, which is printed
    name: Option<String>,
    #[command(subcommand)]
    command: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say what of a machine file fits a network, what does not, and what would; status 1 where it does not fit
    Check(Check),
}

#[derive(Debug, Args)]
struct Check {
    /// The machine: a file, or the name of a shipped one
    hardware: PathBuf,
    /// The network: a netfile directory of 'megasim convert', or a schematic
    #[arg(long = "for", value_name = "NETDIR")]
    network: PathBuf,
    /// Treat a pattern that matches nothing as an error
    #[arg(long)]
    strict: bool,
}

/// Prints; whether everything fits.
pub fn run(arguments: &Arguments) -> Result<bool> {
    match (&arguments.command, &arguments.name) {
        (Some(What::Check(check)), _) => fits(check),
        (None, None) => {
            print(&list());
            Ok(true)
        }
        (None, Some(name)) => match SHIPPED.iter().find(|(known, _)| known == name) {
            Some((_, text)) => {
                print(text);
                Ok(true)
            }
            None => bail!(
                "{name}: expected a shipped machine ({}), found none of this name; 'megasim hardware check FILE --for \
                    NETDIR' is for files",
                SHIPPED.map(|(name, _)| name).join(", ")
            ),
        },
    }
}

fn list() -> String {
    let rows = SHIPPED.iter().map(|(name, text)| {
        // The first comment of a file says what it is.
        let comment = text.lines().take_while(|line| line.starts_with('#')).map(|line| line[1..].trim());
        let comment = comment.collect::<Vec<_>>().join(" ");
        let sentence = comment.split_inclusive(". ").next().unwrap_or_default().trim();
        vec![name.to_string(), sentence.trim_end_matches('.').to_string()]
    });
    let width = SHIPPED.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = rows.map(|row| format!("{:width$}  {}", row[0], row[1])).collect();
    format!("{}\nmegasim hardware NAME prints one, as a start for a file.\n", lines.join("\n"))
}

fn fits(check: &Check) -> Result<bool> {
    let hardware = Hardware::open(&check.hardware).map_err(|error| diagnostic::hardware(&error))?;
    let machine = Subject::open(&check.network)?;
    let rows: Vec<Vec<String>> = hardware
        .patterns(&machine.network, &machine.layers, &machine.input)
        .into_iter()
        .map(|it| vec![it.line.to_string(), it.table, names(&it.matches)])
        .collect();
    if !rows.is_empty() {
        print(&format!("{}\n", boxed(&["line", "pattern", "what it matches"], rows)));
    }
    let layers: Vec<String> = machine.layers.iter().map(layer).collect();
    print(&format!("Layers of the network: {}\n", layers.join(", ")));
    match machine.on(&hardware.clone().strict(check.strict)) {
        Ok(resolved) => {
            for warning in &resolved.warnings {
                print(&format!("matches nothing: {warning}\n"));
            }
            let mesh = resolved.machine.mesh.as_ref();
            let tiles = mesh.map_or(String::new(), |mesh| {
                let all = u64::from(mesh.columns) * u64::from(mesh.rows);
                format!(", {} of {all} tiles in use", resolved.machine.used_tiles())
            });
            let modules = machine.network.modules().len();
            if let Some(cores) = &resolved.cores {
                print(&latency::cores(cores, modules));
            }
            print(&format!("{} fits: {modules} modules{tiles}.\n", hardware.name()));
            Ok(true)
        }
        Err(error) => {
            print(&format!("{} does not fit:\n", hardware.name()));
            Err(latency::reported(&error))
        }
    }
}

/// A network that a machine may fit.
struct Subject {
    network: Network,
    layers: Vec<ModuleLayer>,
    /// By source: whether it is input, and no clock.
    input: Vec<bool>,
    /// How long a tick is, where that is known.
    tick: Option<Duration>,
}

impl Subject {
    fn open(path: &Path) -> Result<Self> {
        if path.extension().is_some_and(|extension| extension == "sch") {
            let network = input::read_network(path)?;
            let (layers, input) = (ModuleLayer::of_network(&network), vec![true; network.sources().len()]);
            return Ok(Self { network, layers, input, tick: None });
        }
        let converted = input::open(path)?;
        let network = converted.network().clone();
        let nodes: Vec<NodeId> = converted.layout().nodes(&network).collect();
        let input = network.sources().iter().map(|node| nodes.contains(node)).collect();
        let layers = ModuleLayer::of_manifest(&network, converted.manifest());
        let tick = Duration::part_of_a_ms(Presentation::default().clock().ticks_per_ms);
        Ok(Self { network, layers, input, tick })
    }

    /// The machine for this network.
    fn on(&self, hardware: &Hardware) -> Result<Resolved, InputError> {
        let (tick, factor) = hardware.agree(self.tick)?;
        let network = self.network.with_finer_ticks(factor)?;
        let Self { layers, input, .. } = self;
        Ok(hardware.resolve_with(&hardware::TargetNetwork { network: &network, layers, input, spikes: None }, tick)?)
    }
}

fn layer(layer: &ModuleLayer) -> String {
    format!("{} ({} modules)", layer.name, layer.modules.len())
}

/// Names, the first of many.
fn names(all: &[String]) -> String {
    const MOST: usize = 6;
    let shown = all.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    match all.len() {
        0 => "nothing".into(),
        n if n > MOST => format!("{shown} and {} more", n - MOST),
        _ => shown,
    }
}
