//! Activation proofs, fingerprints, Merkle paths and beacon points of strangers.

use proof::toploc::{self, ChunkProof};
use proof::{beacon, fingerprint};
use protocol::{BeaconPoint, merkle};

/// The first byte says what the rest is.
pub fn run(data: &[u8]) {
    let Some((&what, bytes)) = data.split_first() else { return };
    match what % 6 {
        0 => small_chunks(bytes),
        1 => production_chunks(bytes),
        2 => one_chunk(bytes),
        3 => fingerprints(bytes),
        4 => path(bytes),
        _ => point(bytes),
    }
}

/// The first four bytes are the shape, then come activations, then proofs.
fn small_chunks(bytes: &[u8]) {
    let Some((&[width, chunk_tokens, k, tokens], rest)) = bytes.split_first_chunk() else { return };
    let (width, chunk_tokens, k) = (usize::from(width % 9), usize::from(chunk_tokens % 5), usize::from(k % 7));
    let (activations, proofs) = rest.split_at((2 * width * usize::from(tokens % 9)).min(rest.len()));
    compare(&words(activations), proofs, width, chunk_tokens, k);
}

/// Two tokens of width 96, so that the real 128 values fit; activations repeat until there are enough.
fn production_chunks(bytes: &[u8]) {
    let (width, tokens) = (96, 2);
    let (activations, proofs) = bytes.split_at(bytes.len().saturating_sub(ChunkProof::byte_len(toploc::TOP_K)));
    let bits: Vec<u16> = words(activations).into_iter().cycle().take(width * tokens).collect();
    compare(&bits, proofs, width, toploc::CHUNK_TOKENS, toploc::TOP_K);
}

/// Neither the stranger's proofs nor one's own may panic, and one's own must agree with itself.
fn compare(bits: &[u16], proofs: &[u8], width: usize, chunk_tokens: usize, k: usize) {
    let _ = toploc::compare(proofs, bits, width, chunk_tokens, k).map(|all| all.len());
    let Ok(own) = toploc::build_proofs(bits, width, chunk_tokens, k) else { return };
    let same = toploc::compare(&own, bits, width, chunk_tokens, k).expect("one's own proofs can be read");
    let differ = |comparison: &toploc::Comparison| {
        comparison.exponent_mismatches + comparison.mantissa_mean_milli + comparison.sign_mismatches != 0
    };
    assert!(!same.iter().any(differ), "a proof differs from what it was built from");
}

/// Whatever is read is written the same.
fn one_chunk(bytes: &[u8]) {
    let k = (bytes.len() / 2).saturating_sub(1);
    if let Ok(proof) = ChunkProof::from_bytes_strict(bytes, k) {
        assert_eq!(proof.to_bytes(), bytes);
        let _ = proof.check_modulus(8 * k);
    }
}

fn fingerprints(bytes: &[u8]) {
    let numbers: Vec<i16> = words(bytes).into_iter().map(u16::cast_signed).collect();
    let (claimed, own) = numbers.split_at(numbers.len() / 2);
    let error = fingerprint::error_ppm(claimed, own);
    assert_eq!(error.is_some(), claimed.len() == own.len());
    assert_eq!(error == Some(0), claimed == own);
}

/// A path of at most eight hashes to leaf `index` of `count`.
fn path(bytes: &[u8]) {
    let Some((&[index, count], rest)) = bytes.split_first_chunk() else { return };
    let (index, count) = (usize::from(index), usize::from(count));
    let hashes: Vec<[u8; 32]> = rest.as_chunks().0.iter().copied().take(8).collect();
    let leaves: Vec<[u8; 32]> = (0..count).map(|index| merkle::leaf(&[index as u8])).collect();
    assert!(!merkle::verify(&merkle::root(&leaves), &merkle::leaf(b"no leaf"), index, count, &hashes));
    if index < count {
        let own = merkle::path(&leaves, index);
        assert!(merkle::verify(&merkle::root(&leaves), &leaves[index], index, count, &own));
    }
}

/// A point of the hash chain, and the same bytes as a signature of drand.
fn point(bytes: &[u8]) {
    let Some((round, rest)) = bytes.split_first_chunk() else { return };
    let Some((randomness, signature)) = rest.split_first_chunk() else { return };
    // Rounds far ahead take a million hashes, as they may; they find nothing else.
    let round = u64::from_le_bytes(*round);
    let near = if round >> 10 == 0 || round >> 20 != 0 { round } else { round % 1024 };
    let point = BeaconPoint { round: near, randomness: *randomness };
    assert!(beacon::verify_chain(&[1; 32], &point, &BeaconPoint { round: 0, randomness: [1; 32] }).is_err());
    for chain in &beacon::drand::CHAINS {
        assert!(beacon::drand::verify(chain, round, signature, randomness).is_err());
    }
}

fn words(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair)).collect()
}

/// One honest input for each first byte.
pub fn seeds() -> Vec<Vec<u8>> {
    let bits: Vec<u16> = (0..192u16).map(|index| 0x3f80 ^ ((index * 157) & 0x81ff)).collect();
    let flat = |bits: &[u16]| -> Vec<u8> { bits.iter().flat_map(|word| word.to_be_bytes()).collect() };
    let small = toploc::build_proofs(&bits[..32], 8, 2, 4).expect("finite activations");
    let large = toploc::build_proofs(&bits, 96, toploc::CHUNK_TOKENS, toploc::TOP_K).expect("finite activations");
    let hashes: Vec<u8> = (0..3).flat_map(|index| merkle::leaf(&[index])).collect();
    vec![
        [vec![0, 8, 2, 4, 4], flat(&bits[..32]), small.clone()].concat(),
        [vec![1], flat(&bits), large].concat(),
        [vec![2], small[..10].to_vec()].concat(),
        [vec![3], flat(&bits[..16]), flat(&bits[..16])].concat(),
        [vec![4, 2, 5], hashes].concat(),
        [vec![5, 1, 0, 0, 0, 0, 0, 0, 0], vec![7; 32 + 48]].concat(),
    ]
}
