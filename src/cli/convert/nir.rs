//! `megasim convert` of a file that holds a spiking network already.

use super::Arguments;
use super::arguments::ResetArgument;
use crate::cli::diagnostic::{self, report};
use crate::cli::numbers::positive;
use crate::cli::paths::Paths;
use crate::cli::tables::{Boxed, boxed};
use crate::cli::{answer, output, print, provenance};
use clap::{Args, ValueEnum};
use megasim::ann::nir::Nir;
use megasim::atomic_write::{AtomicDir, Overwrite};
use megasim::convert::ConvertedModel;
use megasim::convert::nir::{self, Dialect, NirOptions};
use megasim::convert::save;
use megasim::network::Reset;
use miette::Result;
use serde_json::json;
use std::path::Path;

/// What a file of NIR leaves open.
#[derive(Debug, Clone, Args)]
pub struct NirArguments {
    /// For a spiking network (.nir): the library whose time constants the file has
    #[arg(long, value_enum, value_name = "LIBRARY", default_value_t = DialectArgument::Auto)]
    nir_dialect: DialectArgument,
    /// For a spiking network (.nir): a step, in the unit of time of the file (seconds; of sinabs, steps) [default: what
    /// the file says, or the library has]
    #[arg(long, value_name = "TIME", value_parser = positive)]
    dt: Option<f64>,
}

/// `--nir-dialect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DialectArgument {
    Auto,
    Snntorch,
    Norse,
    Sinabs,
    Rockpool,
}

impl DialectArgument {
    fn dialect(self) -> Dialect {
        match self {
            Self::Auto => Dialect::Auto,
            Self::Snntorch => Dialect::SnnTorch,
            Self::Norse => Dialect::Norse,
            Self::Sinabs => Dialect::Sinabs,
            Self::Rockpool => Dialect::Rockpool,
        }
    }
}

/// Reads, writes and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    let replace = Overwrite::from_flag(arguments.force);
    Paths::default().directories([&arguments.out]).inputs([&arguments.model]).check()?;
    AtomicDir::check(&arguments.out, replace).map_err(report)?;
    let file = Nir::open(&arguments.model).map_err(report)?;
    let reset = match arguments.reset {
        Some(ResetArgument::Subtract) => Some(Reset::Subtract),
        Some(ResetArgument::Zero) => Some(Reset::ToRest),
        Some(ResetArgument::Modulo) => miette::bail!("--reset: expected subtract or zero with a file of NIR"),
        None => None,
    };
    let options = NirOptions {
        dialect: arguments.nir.nir_dialect.dialect(),
        dt: arguments.nir.dt,
        reset,
        scaling_factor: arguments.scaling_factor.unwrap_or(nir::SCALING_FACTOR),
    };
    let (converted, warnings) =
        nir::convert(&file, &options).map_err(|error| miette::miette!("{}: {error}", arguments.model.display()))?;
    warnings.iter().for_each(output::warn);
    let directory = AtomicDir::create(&arguments.out, replace).map_err(report)?;
    converted.write(directory.path()).map_err(|error| match &error {
        save::Error::Netfile(error) => diagnostic::netfile(error),
        _ => report(error),
    })?;
    let manifest = converted.manifest();
    let mut parameters = json!(manifest.conversion);
    parameters["nir"] = json!(manifest.nir);
    let inputs: [&Path; 1] = [&arguments.model];
    let run = provenance::Run { results: &["megasim.sch", "megasim.json"], inputs: &inputs, seed: None, parameters };
    provenance::write(directory.path(), &run).map_err(report)?;
    directory.finish().map_err(report)?;
    let out = arguments.out.display();
    print(&format!("{}\n", layers(&converted)));
    answer("A spiking network as it is: one step is one tick, and samples are shown one value per step.");
    print(&format!("Written to {out}. Next:\n  megasim classify {out} --data DIR\n"));
    Ok(())
}

/// The layers of the netfiles, with the nodes that they are.
pub fn layers(converted: &ConvertedModel) -> Boxed {
    let network = converted.network();
    let rows = converted.manifest().layers.iter().map(|layer| {
        let modules = network.modules().iter().enumerate().filter(|(k, _)| {
            let outputs = network.outputs(megasim::network::ModuleId::new(*k));
            outputs.iter().any(|node| layer.nodes.contains(&network.nodes()[node.index()].name))
        });
        let kinds: Vec<_> = modules.map(|(_, module)| &module.kind).collect();
        let cells: usize = layer.shape.iter().product();
        let neurons = kinds.iter().find_map(|kind| kind.neurons()).map(|(_, neurons, _)| neurons);
        let what = match neurons {
            _ if matches!(layer.kind.as_str(), "SumPooling2D" | "Delay") => "passes spikes on".to_string(),
            None => "passes spikes on".to_string(),
            Some(it) => {
                let fires = if it.fires_plus { format!("threshold {}", it.threshold_plus) } else { "gathers".into() };
                let leaks = if it.leak_decay > 0 { ", leaks" } else { "" };
                let current = if it.mask_tau > 0 { format!(", mask_tau {}", it.mask_tau) } else { String::new() };
                format!("{fires}{leaks}{current}")
            }
        };
        vec![layer.name.clone(), layer.source.clone(), kinds.len().to_string(), cells.to_string(), what]
    });
    boxed(&["layer", "node", "modules", "cells", "neurons"], rows.collect::<Vec<_>>())
}
