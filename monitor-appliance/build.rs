//! Puts the profiles together as one bundle, which the programs carry.

use std::path::Path;

fn main() -> std::io::Result<()> {
    // Cargo runs this in the folder of the package. Paths from there hold for a copy of the tree that builds into the same folder, too.
    let folder = Path::new("profiles");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut bundle = String::new();
    for file in files
        .iter()
        .map(std::fs::DirEntry::path)
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
    {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        bundle += &format!("#= {name}\n");
        bundle += std::fs::read_to_string(&file)?.trim_end();
        bundle.push('\n');
    }
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| std::io::Error::other("cargo names no OUT_DIR"))?;
    std::fs::write(Path::new(&out).join("profiles.bundle"), bundle)
}
