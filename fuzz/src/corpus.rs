//! Turns a kept corpus into the files that the fuzzer reads, and back.
//!
//! `corpus unpack NAME FILE FOLDER` writes the inputs of FILE and the target's own seeds to FOLDER;
//! `corpus pack NAME FILE FOLDER` writes the inputs in FOLDER to FILE, shortest first.

use std::path::Path;
use std::{env, fs};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [command, name, file, folder] = &arguments[..] else { panic!("corpus pack|unpack NAME FILE FOLDER") };
    let target = fuzz::TARGETS.iter().find(|target| target.name == name).expect("a target's name");
    let (file, folder) = (Path::new(file), Path::new(folder));
    match command.as_str() {
        "unpack" => unpack(target, file, folder),
        "pack" => pack(file, folder),
        other => panic!("no command {other}"),
    }
}

fn unpack(target: &fuzz::Target, file: &Path, folder: &Path) {
    let kept = fs::read_to_string(file).map(|text| fuzz::inputs(&text)).unwrap_or_default();
    fs::create_dir_all(folder).expect("a writable folder");
    for (index, input) in kept.iter().chain(&(target.seeds)()).enumerate() {
        fs::write(folder.join(format!("{index:05}")), input).expect("a writable folder");
    }
}

fn pack(file: &Path, folder: &Path) {
    let entries = fs::read_dir(folder).expect("a folder of inputs");
    let read =
        |entry: std::io::Result<fs::DirEntry>| fs::read(entry.expect("an entry").path()).expect("a readable file");
    let mut inputs: Vec<Vec<u8>> = entries.map(read).collect();
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    inputs.dedup();
    let hex = |input: &Vec<u8>| input.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    fs::write(file, inputs.iter().map(hex).collect::<String>()).expect("a writable file");
}
