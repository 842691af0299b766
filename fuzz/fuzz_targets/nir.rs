#![no_main]

megasim_fuzz::fuzz_reader!("nir");
