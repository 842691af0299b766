#![no_main]

megasim_fuzz::fuzz_reader!("lasagne_h5");
