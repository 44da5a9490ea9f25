//! The reference's proofs and results, number by number.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proof::toploc::{ChunkProof, Comparison, Differences, NO_EXPONENT_AGREES, build_proofs, compare};
use serde_json::Value;

fn fixture(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn bits(value: &Value) -> Vec<u16> {
    let bytes = hex::decode(value.as_str().unwrap()).unwrap();
    bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as u32).collect()
}

/// The reference's float in thousandths rounded up, and its 2^64 as ours.
fn milli(value: &Value) -> u32 {
    match value.as_f64().unwrap() {
        huge if huge > 1e18 => NO_EXPONENT_AGREES,
        error => (error * 1000.0 - 1e-6).ceil() as u32,
    }
}

fn small_fixtures() -> [Value; 2] {
    [fixture(include_str!("../fixtures/toploc_list_k4.json")), fixture(include_str!("../fixtures/toploc_2d_k8.json"))]
}

#[test]
fn proofs_have_the_bytes_of_the_reference() {
    for file in small_fixtures() {
        let k = file["k"].as_u64().unwrap() as usize;
        for chunk in file["chunks"].as_array().unwrap() {
            let proof = ChunkProof::build(&bits(&chunk["bits"]), k).unwrap();
            let coefficients: Vec<u32> = proof.coefficients().iter().map(|&c| c.into()).collect();
            assert_eq!(coefficients, numbers(&chunk["coefficients"]));
            assert_eq!(u64::from(proof.modulus()), chunk["modulus"].as_u64().unwrap());
            assert_eq!(STANDARD.encode(proof.to_bytes()), chunk["proof"].as_str().unwrap());
            assert_eq!(ChunkProof::from_bytes_strict(&bytes(&chunk["proof"]), k).unwrap(), proof);
        }
    }
}

#[test]
fn comparisons_have_the_numbers_of_the_reference() {
    let mut compared = 0;
    for file in small_fixtures() {
        let k = file["k"].as_u64().unwrap() as usize;
        let proofs: Vec<Vec<u8>> =
            file["chunks"].as_array().unwrap().iter().map(|chunk| bytes(&chunk["proof"])).collect();
        for (name, results) in file["verify"].as_object().unwrap() {
            for (proof, due) in proofs.iter().zip(results.as_array().unwrap()) {
                let proof = ChunkProof::from_bytes_strict(proof, k).unwrap();
                let given = Differences::of(&proof, &bits(&due["bits"])).unwrap();
                let mismatches = u64::from(given.exponent_mismatches);
                assert_eq!(mismatches, due["exponent_mismatches"].as_u64().unwrap(), "{name}");
                assert_eq!(given.mantissa_mean_milli(), milli(&due["mantissa_mean"]), "{name}");
                let median = match file["median"].as_str().unwrap() {
                    "average of the two" => given.mantissa_median_of_two_milli(),
                    _ => given.mantissa_median_milli(),
                };
                assert_eq!(median, milli(&due["mantissa_median"]), "{name}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 6 * (5 + 3));
}

#[test]
fn points_that_meet_under_the_prime_take_a_smaller_modulus() {
    let proof = ChunkProof::from_points(&[0, 65_497, 1], &[5, 6, 7]).unwrap();
    assert_eq!(proof.modulus(), 65_495);
    assert_eq!(proof.coefficients(), [5, 32_752, 32_747]);
    assert_eq!(STANDARD.encode(proof.to_bytes()), "/9cABX/wf+s=");
}

/// The generator of `toploc_generate.py`.
fn words(seed: u64) -> impl Iterator<Item = u64> {
    let step = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(*state >> 32)
    };
    std::iter::repeat(()).scan(seed, move |state, ()| step(state))
}

fn activations(seed: u64, count: usize) -> Vec<u16> {
    let draw = |word: u64| {
        let below = (((word >> 1) * 12_800 * 12_800) >> 31).isqrt() as u16;
        (0x4400 - 1 - below) | (((word & 1) as u16) << 15)
    };
    words(seed).take(count).map(draw).collect()
}

fn drifted(bits: &[u16], seed: u64) -> Vec<u16> {
    bits.iter().zip(words(seed)).map(|(&b, word)| b + ((word >> 8) % 9) as u16 - 4).collect()
}

#[test]
fn production_shapes_agree_with_the_reference() {
    let file = fixture(include_str!("../fixtures/toploc_production.json"));
    let mut smaller_moduli = 0;
    for case in file["cases"].as_array().unwrap() {
        let of = |name: &str| case[name].as_u64().unwrap() as usize;
        let (width, chunk_tokens, k) = (of("width"), of("chunk_tokens"), of("k"));
        let own = activations(of("seed") as u64, of("tokens") * width);
        let due: Vec<Vec<u8>> = case["proofs"].as_array().unwrap().iter().map(bytes).collect();
        let proofs = build_proofs(&own, width, chunk_tokens, k).unwrap();
        assert_eq!(proofs, due.concat(), "{}", of("seed"));
        smaller_moduli += due.iter().filter(|proof| proof[..2] != [0xff, 0xd9]).count();
        let other = drifted(&own, of("seed") as u64 + 1);
        let given = compare(&proofs, &other, width, chunk_tokens, k).unwrap();
        let drift = case["drift"].as_array().unwrap();
        assert_eq!(given.len(), drift.len());
        for (given, due) in given.iter().zip(drift) {
            assert_eq!(summary(given), (due[0].as_u64().unwrap() as u32, milli(&due[1]), milli(&due[2])));
        }
    }
    assert!(smaller_moduli > 0, "no case shows a modulus below the prime");
}

fn summary(given: &Comparison) -> (u32, u32, u32) {
    (given.exponent_mismatches, given.mantissa_mean_milli, given.mantissa_median_milli)
}
