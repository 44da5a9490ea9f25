//! TensorBoard event files: scalars only.
//!
//! Promise: what is written reads back in TensorBoard, and a file cut short by a dying process is
//! valid up to its last whole record. Written by hand because the two messages needed are twenty
//! bytes of protobuf each, while the crates for it bring a protobuf compiler or are unmaintained.
//!
//! A file is a sequence of records: `length: u64 le, masked crc32c of it, data, masked crc32c of
//! data`, `masked(c) = rotate_right(c, 15) + 0xa282ead8`. The data is a `tensorflow.Event`:
//! `1: double wall_time, 2: int64 step, 3: string file_version, 5: Summary, 7: SessionLog`;
//! a `Summary` is `1: repeated { 1: string tag, 2: float simple_value }`.
//! Source: tensorflow/core/util/event.proto, core/framework/summary.proto, core/lib/io/record_writer.cc.

use crate::metrics::Point;
use crate::run_dir::RunDirError;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An open event file.
#[derive(Debug)]
pub struct TensorBoardFile {
    path: PathBuf,
    file: File,
}

impl TensorBoardFile {
    /// Makes a new file in `folder`, named by the time so that TensorBoard reads files in order.
    ///
    /// Of a resumed run all points are written again: TensorBoard forgets what earlier files of the folder say.
    pub fn create(folder: &Path, at_ms: u64, is_resumed: bool) -> Result<Self, RunDirError> {
        fs::create_dir_all(folder).map_err(|source| io_error(folder, source))?;
        let name = format!("events.out.tfevents.{:010}.{:03}.essaim", at_ms / 1000, at_ms % 1000);
        let path = folder.join(name);
        let file = File::create(&path).map_err(|source| io_error(&path, source))?;
        let mut this = Self { path, file };
        let seconds = at_ms as f64 / 1e3;
        this.write(&version_event(seconds))?;
        if is_resumed {
            this.write(&restart_event(seconds))?;
        }
        Ok(this)
    }

    /// Writes a point's numbers.
    pub fn add(&mut self, at_ms: u64, point: &Point) -> Result<(), RunDirError> {
        self.write(&scalar_event(at_ms as f64 / 1e3, point.step, &point.numbers))
    }

    fn write(&mut self, event: &[u8]) -> Result<(), RunDirError> {
        self.file.write_all(&record(event)).map_err(|source| io_error(&self.path, source))
    }
}

fn io_error(path: &Path, source: io::Error) -> RunDirError {
    RunDirError::Io { path: path.to_owned(), source }
}

/// The first record: says that restarts are marked by session logs.
fn version_event(seconds: f64) -> Vec<u8> {
    let mut event = Vec::new();
    double_field(&mut event, 1, seconds);
    bytes_field(&mut event, 3, b"brain.Event:2");
    event
}

/// A `SessionLog` with status START at step 0: what follows replaces all that earlier files say.
fn restart_event(seconds: f64) -> Vec<u8> {
    let mut session = Vec::new();
    varint_field(&mut session, 1, 1);
    let mut event = Vec::new();
    double_field(&mut event, 1, seconds);
    varint_field(&mut event, 2, 0);
    bytes_field(&mut event, 7, &session);
    event
}

fn scalar_event(seconds: f64, step: u64, scalars: &[(String, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in scalars {
        let mut scalar = Vec::new();
        bytes_field(&mut scalar, 1, tag.as_bytes());
        float_field(&mut scalar, 2, *value as f32);
        bytes_field(&mut summary, 1, &scalar);
    }
    let mut event = Vec::new();
    double_field(&mut event, 1, seconds);
    varint_field(&mut event, 2, step);
    bytes_field(&mut event, 5, &summary);
    event
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_field(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn double_field(out: &mut Vec<u8>, field: u64, value: f64) {
    varint(out, field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn float_field(out: &mut Vec<u8>, field: u64, value: f32) {
    varint(out, field << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

fn bytes_field(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked_crc(&length).to_le_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(&masked_crc(data).to_le_bytes());
    out
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), reflected polynomial 0x82F63B78. A table of 256 would be eight times
/// faster; a step writes three kilobytes.
fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_checksum_is_the_castagnoli_one() {
        // Check values of RFC 3720, appendix B.4, and the usual "123456789".
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
    }

    #[test]
    fn a_scalar_event_has_its_golden_bytes() {
        let event = scalar_event(1.0, 300, &[("a".to_owned(), 0.5)]);
        let golden: &[u8] = &[
            0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, // 1: 1.0
            0x10, 0xAC, 0x02, // 2: 300
            0x2A, 10, // 5: summary of 10 bytes
            0x0A, 8, // 1: value of 8 bytes
            0x0A, 1, b'a', // 1: tag
            0x15, 0, 0, 0, 0x3F, // 2: 0.5
        ];
        assert_eq!(event, golden);
        let record = record(&event);
        assert_eq!(record.len(), golden.len() + 16);
        assert_eq!(record[..8], (golden.len() as u64).to_le_bytes());
    }

    /// Reads the file back with TensorBoard itself where Python has it.
    #[test]
    fn tensorboard_reads_the_file_back_and_the_newer_file_replaces_the_older() {
        let folder = tempfile::tempdir().unwrap();
        let write = |at_ms, is_resumed, steps: u64, value: f64| {
            let mut file = TensorBoardFile::create(folder.path(), at_ms, is_resumed).unwrap();
            for step in 1..=steps {
                let numbers = vec![("reward".to_owned(), value + step as f64)];
                file.add(at_ms + step, &Point { is_sft: false, step, numbers }).unwrap();
            }
        };
        write(1_700_000_000_123, false, 30, 0.0);
        write(1_700_000_100_000, true, 25, 0.5);
        let script = "
import sys
try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    print('no tensorboard'); sys.exit(0)
events = EventAccumulator(sys.argv[1]); events.Reload()
rewards = [(s.step, s.value) for s in events.Scalars('reward')]
assert rewards == [(step, step + 0.5) for step in range(1, 26)], rewards
print('read back')
";
        let python = std::env::var("ESSAIM_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        match Command::new(&python).args(["-c", script]).arg(folder.path()).output() {
            Ok(output) if output.status.success() => {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                if said.trim() != "read back" {
                    println!("skipped: {python} has no tensorboard");
                }
            }
            Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => println!("skipped: {python}: {error}"),
        }
    }
}
