//! Writes the files that each reader takes into `corpus/NAME/`, for libFuzzer to start from.

use megasim_fuzz::readers::{READERS, fixture, made};
use std::path::Path;

fn main() -> std::io::Result<()> {
    for reader in READERS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(reader.name);
        std::fs::create_dir_all(&folder)?;
        let files = reader.fixtures.iter().map(|name| fixture(name)).chain(made(reader.name));
        for (number, bytes) in files.enumerate() {
            std::fs::write(folder.join(format!("{number}")), bytes)?;
        }
    }
    Ok(())
}
