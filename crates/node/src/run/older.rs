//! Older weights in a checkpoint: each as what it differs by from a guess that its reader makes too.
//!
//! Promise: what is read is bit for bit what was written, or a named error; writing holds a piece of a parameter in
//! memory, never a second copy of the weights.
//!
//! The version before the trainer's is guessed by taking back the optimiser's last step, which its moments tell: 99.9 %
//! of the numbers are then guessed exactly. The step before that is guessed too, from what the moments were most likely
//! then. Where versions between are not stored, the guess is the next newer one that is.
//! Layout: one line of JSON, then the pieces of each parameter in turn, each a length (u32, little-endian) and a zstd
//! frame of `4 · count` bytes: the lowest bytes of all numbers of the piece, then the next, …, of
//! `zigzag(bits(weight) - bits(guess))` as 32-bit integers that wrap, in the order of the guesses' exponents: a step is as
//! many units in the last place as these are small, so that numbers of a kind stand together.

mod moments;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use model::{ModelSnapshot, ParamSpec};
use protocol::WeightVersion;
use serde::{Deserialize, Serialize};
use train::TrainConfig;

use moments::Moments;

/// Version of the layout.
const FORMAT: u32 = 2;
/// Longest first line that is read, in bytes; real ones have some 200.
const HEADER_BYTES_MAX: u64 = 4096;
/// Numbers that are worked on at once.
const PIECE: usize = 1 << 20;
/// zstd level: higher ones take 1 % less room.
const LEVEL: i32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    version: WeightVersion,
    /// The newer version that it is guessed from.
    newer: WeightVersion,
    /// How, if not as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<LastStep>,
}

/// The numbers of one of the optimiser's last steps; see `ops::adamw_step`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastStep {
    /// `lr / (1 - β1^updates)`, for an earlier step times what is left of the first moment.
    rate: f32,
    /// `sqrt(1 - β2^updates)` of the moments that are read.
    root_correction: f32,
    eps: f32,
    /// `lr · weight_decay`, of matrices.
    decay: f32,
}

impl LastStep {
    /// The last but `back` of so many updates; none of none.
    ///
    /// An earlier step's moments are guessed: of gradients that are independent and of one variance, the first moment
    /// `n` updates before the `t`-th is expected to be `β1^n · (1 - β1^(2(t - n))) / (1 - β1^(2t))` of what it is now, and
    /// the second moment without its bias what it is now.
    pub fn of(config: &TrainConfig, updates: u64, back: u64) -> Option<Self> {
        let optimizer = &config.optimizer;
        let (then, before) = (updates.checked_sub(back)?, updates.checked_sub(back + 1)?);
        let lr = (optimizer.lr * config.schedule.factor(before)) as f32;
        let power = |beta: f64, exponent: u64| f64::from(beta as f32).powf(exponent as f64);
        let correction = |beta: f64, updates: u64| (1.0 - power(beta, updates)) as f32;
        let (first, twice) = (optimizer.beta1, |updates: u64| 1.0 - power(optimizer.beta1, 2 * updates));
        let left = if back == 0 { 1.0 } else { power(first, back) * twice(then) / twice(updates) };
        Some(Self {
            rate: left as f32 * (lr / correction(first, then)),
            root_correction: correction(optimizer.beta2, updates).sqrt(),
            eps: optimizer.eps as f32,
            decay: lr * optimizer.weight_decay as f32,
        })
    }

    /// `(new + rate · m / (sqrt(v) / root_correction + eps)) / keep`, with `keep = 1 - decay` of a matrix, else 1.
    /// Every operation is rounded alike on every machine; what is no number is left as it was.
    fn taken_back(&self, spec: &ParamSpec, weights: &mut [f32], first: &[f32], second: &[f32]) {
        let keep = if spec.shape.len() > 1 { 1.0 - self.decay } else { 1.0 };
        for ((weight, m), v) in weights.iter_mut().zip(first).zip(second) {
            let before = (*weight + self.rate * m / (v.sqrt() / self.root_correction + self.eps)) / keep;
            if before.is_finite() {
                *weight = before;
            }
        }
    }
}

/// What a version is guessed from.
#[derive(Clone, Copy)]
pub struct Guess<'a> {
    /// The newer weights.
    pub newer: &'a ModelSnapshot,
    /// Their version.
    pub version: WeightVersion,
    /// The trainer's folder and the step that led to the newer weights, if one step did.
    pub trainer: Option<(&'a Path, LastStep)>,
}

/// Writes weights of `version` to a new file. Gives its size, or none if it would be larger than `bytes_max`; then
/// there is no file.
pub fn write(
    path: &Path,
    version: WeightVersion,
    weights: &ModelSnapshot,
    guess: Guess<'_>,
    bytes_max: u64,
) -> Result<Option<u64>> {
    let named = || path.display().to_string();
    let header = Header { format: FORMAT, version, newer: guess.version, step: guess.trainer.map(|(_, step)| step) };
    let mut guessed = Guessed::of(guess)?;
    let mut file = BufWriter::new(File::create(path).with_context(named)?);
    let line = serde_json::to_string(&header)? + "\n";
    file.write_all(line.as_bytes()).with_context(named)?;
    let mut bytes = line.len() as u64;
    for (index, spec) in weights.config().layout().iter().enumerate() {
        for (place, piece) in weights.values()[index].chunks(PIECE).enumerate() {
            let guess = guessed.piece(index, spec, place * PIECE, piece.len())?;
            let packed = zstd::bulk::compress(&planes(piece, guess), LEVEL)?;
            file.write_all(&(packed.len() as u32).to_le_bytes()).with_context(named)?; // a piece is 4 MiB
            file.write_all(&packed).with_context(named)?;
            bytes += 4 + packed.len() as u64;
        }
        if bytes > bytes_max {
            drop(file);
            std::fs::remove_file(path).with_context(named)?;
            return Ok(None);
        }
    }
    let file = file.into_inner().map_err(|error| error.into_error()).with_context(named)?;
    file.sync_all().with_context(named)?;
    Ok(Some(bytes))
}

/// Reads all older weights of a checkpoint, the newest first, and calls `visit` with each.
///
/// - `files`: by version, rising
/// - `trainer`: the trainer's folder, its version and its weights
pub fn read(
    files: &[(WeightVersion, impl AsRef<Path>)],
    trainer: (&Path, WeightVersion, &ModelSnapshot),
    mut visit: impl FnMut(WeightVersion, &ModelSnapshot),
) -> Result<()> {
    let (folder, mut newer_version, mut newer) = (trainer.0, trainer.1, trainer.2.clone());
    for (version, path) in files.iter().rev() {
        let path = path.as_ref();
        newer =
            read_one(path, (*version, newer_version), &newer, folder).with_context(|| path.display().to_string())?;
        newer_version = *version;
        visit(*version, &newer);
    }
    Ok(())
}

fn read_one(
    path: &Path,
    (version, newer_version): (WeightVersion, WeightVersion),
    newer: &ModelSnapshot,
    folder: &Path,
) -> Result<ModelSnapshot> {
    let mut file = BufReader::new(File::open(path)?);
    let header = read_header(&mut file)?;
    ensure!(
        (header.version, header.newer) == (version, newer_version),
        "it has version {} as a difference from {}, expected {version} from {newer_version}",
        header.version,
        header.newer
    );
    let trainer = header.step.map(|step| (folder, step));
    let mut guessed = Guessed::of(Guess { newer, version: newer_version, trainer })?;
    let mut values = Vec::new();
    for (index, spec) in newer.config().layout().iter().enumerate() {
        let mut weights = newer.values()[index].to_vec();
        for (place, piece) in weights.chunks_mut(PIECE).enumerate() {
            let guess = guessed.piece(index, spec, place * PIECE, piece.len())?;
            restore(piece, guess, &read_planes(&mut file, piece.len())?);
        }
        values.push(weights);
    }
    ensure!(file.read(&mut [0])? == 0, "something follows the last parameter");
    Ok(ModelSnapshot::new(newer.config().clone(), values)?)
}

fn read_header(file: &mut impl BufRead) -> Result<Header> {
    let mut line = Vec::new();
    file.take(HEADER_BYTES_MAX).read_until(b'\n', &mut line)?;
    let header: Header = serde_json::from_slice(&line).context("the first line")?;
    ensure!(header.format == FORMAT, "its format is {}, this program reads {FORMAT}", header.format);
    Ok(header)
}

/// The next piece, of `count` numbers; takes no more memory than the largest of that size.
fn read_planes(file: &mut impl Read, count: usize) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    let (length, limit) = (u32::from_le_bytes(length) as usize, zstd::zstd_safe::compress_bound(4 * count));
    ensure!(length <= limit, "a piece of {count} numbers in {length} bytes, limit {limit}");
    let mut packed = vec![0; length];
    file.read_exact(&mut packed)?;
    let planes = zstd::bulk::decompress(&packed, 4 * count)?;
    ensure!(planes.len() == 4 * count, "a piece of {count} numbers unpacks to {} bytes", planes.len());
    Ok(planes)
}

/// Guesses, piece by piece.
struct Guessed<'a> {
    newer: &'a ModelSnapshot,
    moments: Option<(Moments, LastStep)>,
    piece: Vec<f32>,
}

impl<'a> Guessed<'a> {
    fn of(guess: Guess<'a>) -> Result<Self> {
        let moments = guess.trainer.map(|(folder, step)| Ok::<_, anyhow::Error>((Moments::open(folder)?, step)));
        Ok(Self { newer: guess.newer, moments: moments.transpose()?, piece: Vec::new() })
    }

    fn piece(&mut self, index: usize, spec: &ParamSpec, start: usize, count: usize) -> Result<&[f32]> {
        self.piece.clear();
        self.piece.extend_from_slice(&self.newer.values()[index][start..start + count]);
        if let Some((moments, step)) = &mut self.moments {
            let [first, second] = moments.read(&spec.name, start, count)?;
            step.taken_back(spec, &mut self.piece, first, second);
        }
        Ok(&self.piece)
    }
}

/// The places of numbers by rising exponent, and as they stand where exponents are equal.
fn by_exponent(guess: &[f32]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..guess.len()).collect();
    places.sort_by_key(|place| (guess[*place].to_bits() >> (f32::MANTISSA_DIGITS - 1)) as u8);
    places
}

/// Byte k of every difference, for k = 0 to 3.
fn planes(weights: &[f32], guess: &[f32]) -> Vec<u8> {
    let count = weights.len();
    let mut planes = vec![0; 4 * count];
    for (index, place) in by_exponent(guess).into_iter().enumerate() {
        let difference = weights[place].to_bits().wrapping_sub(guess[place].to_bits()).cast_signed();
        let zigzag = (difference << 1) ^ (difference >> 31);
        for (plane, byte) in zigzag.to_le_bytes().into_iter().enumerate() {
            planes[plane * count + index] = byte;
        }
    }
    planes
}

/// The weights behind the differences.
fn restore(weights: &mut [f32], guess: &[f32], planes: &[u8]) {
    let count = weights.len();
    for (index, place) in by_exponent(guess).into_iter().enumerate() {
        let zigzag = u32::from_le_bytes([0, 1, 2, 3].map(|plane| planes[plane * count + index]));
        let difference = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
        weights[place] = f32::from_bits(guess[place].to_bits().wrapping_add(difference));
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use model::{ModelConfig, Transformer};
    use train::{MomentsDtype, SftExample, Trainer};

    use super::*;
    use crate::config;
    use crate::recorded::network;
    use crate::run::checkpoint::Checkpoint;
    use record::run_dir;

    /// Weights of a tiny model: `weight(n)` is number n.
    fn weights(config: &Arc<ModelConfig>, weight: impl Fn(u32) -> f32) -> ModelSnapshot {
        let mut count = 0;
        let mut next = || {
            count += 1;
            weight(count)
        };
        let values = config.layout().iter().map(|spec| (0..spec.numel()).map(|_| next()).collect()).collect();
        ModelSnapshot::new(config.clone(), values).unwrap()
    }

    fn bits(weights: &ModelSnapshot) -> Vec<u32> {
        weights.values().iter().flat_map(|values| values.iter().map(|value| value.to_bits())).collect()
    }

    fn tiny() -> Arc<ModelConfig> {
        crate::recorded::tiny_model()
    }

    #[test]
    fn any_numbers_come_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let config = tiny();
        let newer = weights(&config, |n| (n as f32 * 0.7).sin());
        // Near, far, of the other sign, and no numbers at all.
        let older = weights(&config, |n| match n % 6 {
            0 => f32::from_bits((n as f32 * 0.7).sin().to_bits().wrapping_add(n)),
            1 => -(n as f32 * 0.7).sin(),
            2 => -0.0,
            3 => f32::from_bits(0x7fc0_0001),
            4 => f32::NEG_INFINITY,
            _ => f32::from_bits(1),
        });
        let oldest = weights(&config, |n| n as f32);
        let path = |version: u64| folder.path().join(format!("{version}"));
        let guess = Guess { newer: &newer, version: 9, trainer: None };
        write(&path(8), 8, &older, guess, u64::MAX).unwrap().unwrap();
        write(&path(5), 5, &oldest, Guess { newer: &older, version: 8, trainer: None }, u64::MAX).unwrap().unwrap();
        let mut found = Vec::new();
        let files = [(5, path(5)), (8, path(8))];
        read(&files, (folder.path(), 9, &newer), |version, weights| found.push((version, bits(weights)))).unwrap();
        assert!(found == [(8, bits(&older)), (5, bits(&oldest))]);
    }

    #[test]
    fn a_file_that_would_be_too_large_is_not_left_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let config = tiny();
        let (newer, older) = (weights(&config, |n| n as f32), weights(&config, |n| (n as f32).sqrt()));
        let path = folder.path().join("8");
        let guess = Guess { newer: &newer, version: 9, trainer: None };
        assert_eq!(write(&path, 8, &older, guess, 100).unwrap(), None);
        assert!(!path.exists());
        write(&path, 8, &older, guess, u64::MAX).unwrap().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let refused = |bytes: &[u8], version: u64| {
            std::fs::write(&path, bytes).unwrap();
            let read = read(&[(version, PathBuf::from(&path))], (folder.path(), 9, &newer), |_, _| ());
            format!("{:#}", read.unwrap_err())
        };
        assert!(refused(&whole, 7).contains("it has version 8"));
        assert!(refused(&whole[..whole.len() - 1], 8).contains(&path.display().to_string()));
        assert!(refused(&[&whole[..], b"x"].concat(), 8).contains("something follows"));
        let mut long = whole.clone();
        let length = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        long[length..length + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(refused(&long, 8).contains("limit"));
    }

    #[test]
    fn the_version_before_is_guessed_as_well_from_moments_in_bf16() {
        for moments_dtype in [MomentsDtype::F32, MomentsDtype::Bf16] {
            let folder = tempfile::tempdir().unwrap();
            let model = Transformer::random(tiny(), 1, &ops::DeviceSpec::Cpu.open().unwrap()).unwrap();
            let mut config = crate::run::learning::rl_config(&config::resolve(&config::Sources::default()).unwrap());
            config.optimizer.moments_dtype = moments_dtype;
            let mut trainer = Trainer::new(model, config).unwrap();
            let batch = [SftExample { tokens: vec![1, 2, 3, 4], prompt_len: 1 }];
            trainer.sft_step(&batch).unwrap();
            let before = trainer.snapshot();
            trainer.sft_step(&batch).unwrap();
            let (at, path) = (folder.path().join("trainer"), folder.path().join("1"));
            trainer.save(&at).unwrap();
            let step = LastStep::of(trainer.config(), trainer.updates(), 0).unwrap();
            let newer = trainer.snapshot();
            let guess = Guess { newer: &newer, version: 2, trainer: Some((&at, step)) };
            let bytes = write(&path, 1, &before, guess, u64::MAX).unwrap().unwrap();
            let raw = 4 * bits(&before).len() as u64;
            assert!(bytes * 10 < raw, "{moments_dtype}: {bytes} bytes of {raw}");
            read(&[(1, path)], (&at, 2, &newer), |_, weights| assert!(bits(weights) == bits(&before))).unwrap();
        }
    }

    #[test]
    fn an_earlier_version_takes_less_room_where_its_step_is_guessed_too() {
        let folder = tempfile::tempdir().unwrap();
        let model = Transformer::random(tiny(), 1, &ops::DeviceSpec::Cpu.open().unwrap()).unwrap();
        let config = crate::run::learning::rl_config(&config::resolve(&config::Sources::default()).unwrap());
        let mut trainer = Trainer::new(model, config).unwrap();
        let batch = [SftExample { tokens: vec![1, 2, 3, 4], prompt_len: 1 }];
        let mut versions = Vec::new();
        for _ in 0..6 {
            trainer.sft_step(&batch).unwrap();
            versions.push(trainer.snapshot());
        }
        let [.., older, newer, _] = &versions[..] else { panic!("there are six") };
        let (at, path) = (folder.path().join("trainer"), folder.path().join("4"));
        trainer.save(&at).unwrap();
        let bytes = |back: Option<u64>| {
            let step =
                back.map(|back| (at.as_path(), LastStep::of(trainer.config(), trainer.updates(), back).unwrap()));
            write(&path, 4, older, Guess { newer, version: 5, trainer: step }, u64::MAX).unwrap().unwrap()
        };
        let (plain, guessed) = (bytes(None), bytes(Some(1)));
        assert!(guessed * 100 < plain * 95, "{guessed} of {plain} bytes");
        read(&[(4, path)], (&at, 5, newer), |_, weights| assert!(bits(weights) == bits(older))).unwrap();
    }

    #[test]
    fn the_version_before_the_trainers_is_guessed_from_the_last_step() {
        let run = network();
        let newest = Checkpoint::all(&run.join("checkpoints")).unwrap().pop().unwrap();
        let file = |version: u64| newest.older().unwrap().into_iter().find(|(given, _)| *given == version).unwrap().1;
        let packed = std::fs::metadata(file(newest.step - 1)).unwrap().len();
        let raw = std::fs::metadata(newest.trainer().join("weights.safetensors")).unwrap().len();
        assert!(packed * 20 < raw, "{packed} bytes of {raw}: {}", run_dir::events_path(run).display());
    }
}
