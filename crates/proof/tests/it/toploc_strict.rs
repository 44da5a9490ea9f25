//! A stranger's bytes are read strictly, and no bytes stop the reader.
use proof::ProofError;
use proof::toploc::{ChunkProof, PRIME, build_proofs, compare};
use proptest::prelude::*;

/// 32 values with distinct magnitudes.
fn chunk() -> Vec<u16> {
    (0..32).map(|i| (0x3f80 + 5 * i) | ((i & 1) << 15)).collect()
}

#[test]
fn only_the_exact_length_is_read() {
    let proof = ChunkProof::build(&chunk(), 8).unwrap().to_bytes();
    assert_eq!(proof.len(), 18);
    for given in (0..40).filter(|&length| length != 18) {
        let mut bytes = proof.clone();
        bytes.resize(given, 0);
        let error = ProofError::Length { expected: 18, given };
        assert_eq!(ChunkProof::from_bytes_strict(&bytes, 8), Err(error.clone()));
        assert_eq!(compare(&bytes, &chunk(), 8, 4, 8), Err(error));
    }
}

#[test]
fn a_constant_of_four_bytes_is_no_proof() {
    // The reference parses this as one coefficient and scores it.
    let bytes = [0xff, 0xd9, 0x40, 0x20];
    assert!(ChunkProof::from_bytes_strict(&bytes, 1).is_ok());
    let error = ProofError::Length { expected: 258, given: 4 };
    assert_eq!(ChunkProof::from_bytes_strict(&bytes, 128), Err(error));
}

#[test]
fn the_null_proof_is_refused() {
    // The reference's verifier divides by this modulus.
    let error = ProofError::Modulus { least: 8, most: PRIME, given: 0 };
    assert_eq!(ChunkProof::from_bytes_strict(&[0; 18], 8), Err(error));
}

#[test]
fn coefficients_outside_the_field_are_refused() {
    let mut bytes = ChunkProof::build(&chunk(), 8).unwrap().to_bytes();
    bytes[8..10].copy_from_slice(&65_497u16.to_be_bytes());
    let error = ProofError::Coefficient { index: 3, limit: PRIME, given: 65_497 };
    assert_eq!(ChunkProof::from_bytes_strict(&bytes, 8), Err(error));
}

#[test]
fn a_modulus_that_no_honest_prover_needs_is_refused() {
    let honest = build_proofs(&chunk(), 8, 4, 8).unwrap();
    for given in [0u16, 7, 8, 65_496, 65_498, u16::MAX] {
        let mut bytes = honest.clone();
        bytes[..2].copy_from_slice(&given.to_be_bytes());
        // 32 positions are all below the prime: no other modulus can be needed.
        let refused = compare(&bytes, &chunk(), 8, 4, 8).unwrap_err();
        assert!(matches!(refused, ProofError::Modulus { given: g, .. } if g == u32::from(given)));
    }
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let bits = chunk();
    let shape = |width| Err(ProofError::Shape { width, given: 32 });
    assert_eq!(build_proofs(&bits, 0, 4, 8), shape(0));
    assert_eq!(build_proofs(&bits, 5, 4, 8), shape(5));
    assert_eq!(build_proofs(&bits, 8, 4, 0), Err(ProofError::ChunkTooSmall { k: 0, given: 0 }));
    assert_eq!(build_proofs(&bits, 8, 0, 8), Err(ProofError::ChunkTooSmall { k: 8, given: 0 }));
    assert_eq!(build_proofs(&[], 8, 4, 8), Ok(vec![]));
    assert_eq!(compare(&[], &[], 8, 4, 8), Ok(vec![]));
    assert_eq!(build_proofs(&bits, 8, usize::MAX, usize::MAX).unwrap().len(), 66);
    let twice = ChunkProof::from_points(&[3, 3], &[1, 2]);
    assert_eq!(twice, Err(ProofError::NoModulus { k: 2 }));
}

#[test]
fn a_short_last_chunk_commits_to_all_it_has() {
    // 5 tokens of width 4 in chunks of 2: 8, 8 and 4 values; k = 6 leaves 6, 6 and 4.
    let bits: Vec<u16> = chunk()[..20].to_vec();
    let proofs = build_proofs(&bits, 4, 2, 6).unwrap();
    assert_eq!(proofs.len(), 14 + 14 + 10);
    let points: Vec<u32> = compare(&proofs, &bits, 4, 2, 6).unwrap().iter().map(|chunk| chunk.points).collect();
    assert_eq!(points, [6, 6, 4]);
}

#[test]
fn own_values_without_end_are_an_error_not_a_verdict() {
    let honest = build_proofs(&chunk(), 8, 4, 8).unwrap();
    let mut own = chunk();
    own[9] = 0x7f80;
    let error = ProofError::NotFinite { index: 9, bits: 0x7f80 };
    assert_eq!(build_proofs(&own, 8, 4, 8), Err(error.clone()));
    assert_eq!(compare(&honest, &own, 8, 4, 8), Err(error));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_stop_the_reader(
        proof in prop::collection::vec(any::<u8>(), 0..64), k in 0usize..40,
    ) {
        if let Ok(read) = ChunkProof::from_bytes_strict(&proof, k) {
            prop_assert_eq!(read.to_bytes(), proof);
        }
    }

    #[test]
    fn no_proof_and_no_activations_stop_the_comparison(
        proof in prop::collection::vec(any::<u8>(), 66),
        modulus in prop::sample::select(vec![0u16, 1, 31, 32, 65_496, 65_497, 65_535]),
        own in prop::collection::vec(any::<u16>(), 32..65),
        width in 0usize..40, chunk_tokens in 0usize..5, k in 0usize..40, length in 0usize..200,
    ) {
        let mut proofs = proof.repeat(3);
        for chunk in proofs.chunks_mut(66) {
            chunk[..2].copy_from_slice(&modulus.to_be_bytes());
        }
        let cut = length.min(proofs.len());
        let _named_error_or_numbers = compare(&proofs[..cut], &own, width, chunk_tokens, k);
        let _with_every_value = compare(&proofs[..66], &own[..32], 8, 4, 32);
    }

    #[test]
    fn an_honest_proof_compares_without_a_difference(
        own in prop::collection::vec(0u16..0x7f80, 1..700), signs in any::<u64>(),
        width in 1usize..9, chunk_tokens in 1usize..40, k in 1usize..140,
    ) {
        let rows = own.len() / width;
        let own: Vec<u16> = (0..rows * width).map(|i| own[i] | ((signs >> (i % 64)) as u16) << 15).collect();
        let proofs = build_proofs(&own, width, chunk_tokens, k).unwrap();
        for chunk in compare(&proofs, &own, width, chunk_tokens, k).unwrap() {
            prop_assert_eq!((chunk.exponent_mismatches, chunk.sign_mismatches), (0, 0));
            prop_assert_eq!((chunk.mantissa_mean_milli, chunk.mantissa_median_milli), (0, 0));
            prop_assert_eq!(chunk.distinct_claimed, chunk.distinct_own);
        }
    }
}
