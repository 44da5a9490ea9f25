//! The bytes on disk and on the wire, written out. If one of these changes, bump `RECORD_FORMAT`.
use protocol::{Domain, Record, rollout_seed, run_seed};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// By hand: format 01, kind 01, lease 41 = 29, task 01, item 300 = varint ac02, version 03,
/// group size 02, 32 bytes of seed, worker 00, beacon 00.
#[test]
fn lease_has_its_golden_bytes() {
    let expected = format!("0101{}{}{}", "2901ac020302", "07".repeat(32), "0000");
    assert_eq!(hex(&super::lease().encode().unwrap()), expected);
}

/// By hand: lease 29, sample 01, prompt [2: 05, 8001], completion [2: 09, 02],
/// logprobs [2: -0.5 = 000000bf, -1.0 = 000080bf], versions [2: 03, 04], finish 00,
/// reward zigzag(1_000_000) = 2_000_000 = varint 80897a, exact 01.
#[test]
fn rollout_has_its_golden_bytes() {
    let body = "2901 02058001 020902 02 000000bf 000080bf 020304 00 80897a 01".replace(' ', "");
    assert_eq!(hex(&super::rollout(1).encode().unwrap()), format!("0102{body}"));
}

#[test]
fn group_is_its_lease_then_its_rollouts() {
    let body = |record: Vec<u8>| hex(&record[2..]);
    let expected = format!(
        "0103{}02{}{}",
        body(super::lease().encode().unwrap()),
        body(super::rollout(0).encode().unwrap()),
        body(super::rollout(1).encode().unwrap()),
    );
    assert_eq!(hex(&super::group().encode().unwrap()), expected);
}

/// The expected bytes come from Python's `blake3` package, fed the fields as the docs lay them out.
#[test]
fn seeds_have_their_golden_bytes() {
    let run = run_seed(42);
    assert_eq!(hex(&run), "ec77ba2b50cd8dd0bcd454d2585158b95c590d1fa1a54d98a7abff12adccff89");
    let seed = rollout_seed("train", &run, 1, 2, 3, 4, 5);
    assert_eq!(hex(&seed), "911e174178671c174363d273e4f52695fe73a1e7c8811bae74b3c75613db00a7");
}

#[test]
fn every_field_of_the_seed_counts() {
    let base = super::lease();
    let seeds: Vec<[u8; 32]> = (0..8)
        .map(|field| {
            let mut lease = base.clone();
            match field {
                1 => lease.run_seed[31] ^= 1,
                2 => lease.beacon_round += 1,
                3 => lease.weight_version += 1,
                4 => lease.worker += 1,
                5 => lease.lease += 1,
                _ => {}
            }
            let domain = if field == 6 { Domain::Eval } else { Domain::Train };
            lease.sample_seed(domain, u32::from(field == 7))
        })
        .collect();
    for (index, seed) in seeds.iter().enumerate() {
        assert!(!seeds[..index].contains(seed), "field {index} does not change the seed");
    }
    assert_eq!(seeds[0], rollout_seed("train", &[7; 32], 0, 3, 0, 41, 0));
}
