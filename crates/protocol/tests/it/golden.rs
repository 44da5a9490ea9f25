//! The bytes on disk and on the wire, written out. If one of these changes, bump `RECORD_FORMAT`.
//! Hashes and signatures come from `scripts/make_protocol_goldens.py`, which does not use our code.
use protocol::{
    BeaconPoint, BeaconTerms, Check, CheckOrder, Domain, Hash, Keypair, Outcome, PlantRequest, Record, RejectReason,
    RevealOrder, RunTerms, Signed, UncheckedCause, Update, merkle, record_kind, rollout_seed, run_seed,
};

use super::{keys, lease, reveal, rollout, sign_verdict, signed_lease, submission, terms, verdict};

const ROOT: &str = "d7e47f6fbf13c7a16124b182185f59cac1744b5d4fa1197f37652bd3920d1cd2";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fields of a record without format and kind, which are compared here.
fn fields<T: Record>(record: &T, kind: u8) -> String {
    let bytes = record.encode().unwrap();
    assert_eq!(record_kind(&bytes), Ok(kind));
    assert_eq!((bytes[0], T::KIND), (3, kind));
    hex(&bytes[2..])
}

/// Ends with the signer's key and this signature.
fn assert_signed<T: Record>(record: &T, kind: u8, body: &str, signer: &Keypair, signature: &str) {
    assert_eq!(fields(record, kind), format!("{body}{}{signature}", signer.public()));
}

/// By hand: format 03, kind 01, lease 41 = 29, task 01, item 300 = varint ac02, version 03, 32 bytes of
/// weights, group size 02, 32 bytes of seed, worker 00, its lease 06, beacon round 05, 32 bytes of randomness.
#[test]
fn lease_has_its_golden_bytes() {
    let expected = format!("2901ac0203{}02{}000605{}", "09".repeat(32), "07".repeat(32), "08".repeat(32));
    assert_eq!(hex(&lease().encode().unwrap()), format!("0301{expected}"));
    assert_signed(
        &signed_lease(),
        0x81,
        &expected,
        &keys("orchestrator", 0),
        "0a6cffdab739d3451b2f740926156f16406c15dddcbfc468efc158bd8c11c330b70a1e54ff2affa288e0666fe223e0f79c54276c4811bc9b3baf55efb9ca7207",
    );
}

/// By hand: lease 29, sample 01, prompt [2: 05, 8001], completion [2: 09, 02],
/// logprobs [2: -0.5 = 000000bf, -1.0 = 000080bf], versions [2: 03, 03], finish 00,
/// reward zigzag(1_000_000) = 2_000_000 = varint 80897a, exact 01, proof [3: 01, ff, 00],
/// fingerprint [2: zigzag(-1) = 01, zigzag(300) = 600 = d804].
#[test]
fn rollout_has_its_golden_bytes() {
    let body = "2901 02058001 020902 02 000000bf 000080bf 020303 00 80897a 01 0301ff00 0201d804".replace(' ', "");
    assert_eq!(fields(&rollout(1), 2), body);
}

#[test]
fn group_is_its_lease_then_its_rollouts() {
    let (first, second) = (fields(&rollout(0), 2), fields(&rollout(1), 2));
    assert_eq!(fields(&super::group(), 3), format!("{}02{first}{second}", fields(&lease(), 1)));
}

/// By hand: lease 29, worker 00, two rollouts 02, root.
#[test]
fn submission_is_signed_lease_signed_commitment_rollouts() {
    let submission = submission();
    let commitment = format!("290002{ROOT}");
    assert_eq!(fields(&submission.commitment.body, 4), commitment);
    assert_signed(
        &submission.commitment,
        0x84,
        &commitment,
        &keys("worker", 0),
        "8cbdf412119caf7fc383b6a83b7e6b021c98df082cc222856668573b7aad5a944ddb4ef9948dcfa61894672348fb4a6dceb7cf776ed90c417e8072b01863f90c",
    );
    let (lease, commitment) = (fields(&submission.lease, 0x81), fields(&submission.commitment, 0x84));
    let rollouts = format!("02{}{}", fields(&rollout(0), 2), fields(&rollout(1), 2));
    assert_eq!(fields(&submission, 12), format!("{lease}{commitment}{rollouts}"));
    let order = CheckOrder { submission, draw: BeaconPoint { round: 6, randomness: [6; 32] } };
    assert_eq!(fields(&order, 8), format!("{lease}{commitment}{rollouts}06{}", "06".repeat(32)));
    assert_eq!(fields(&RevealOrder { lease: 41 }, 9), "29");
}

/// By hand: the commitment of a submission, under another kind and context.
#[test]
fn plant_request_is_the_commitment_that_it_asks_for() {
    let request = PlantRequest { commitment: submission().commitment.body };
    let commitment = format!("290002{ROOT}");
    assert_eq!(fields(&request, 13), commitment);
    let request = Signed::new(request, &terms().id(), &keys("orchestrator", 0)).unwrap();
    assert_signed(
        &request,
        0x8d,
        &commitment,
        &keys("orchestrator", 0),
        "b4e66e0ce56a7e12ddd643a7e3921a3a78af8a6c0f7912a6a1958b327c49f399b26002f4872c58d7638612e40926cc05f00c504003e199096389d6793d71cf01",
    );
}

/// By hand: lease 29, root, validator 01, draw 06 with its randomness, 300 tokens = ac02, one rollout 01: sample 01, exponents 02,
/// mean 1500 = dc0b, median 1000 = e807, signs 00, fingerprint 300 = ac02, margin zigzag(-5) = 09, lost 01,
/// logprob error zigzag(64) = 8001 and zigzag(1) = 02, two logprobs; outcome.
#[test]
fn verdict_has_its_golden_bytes() {
    let numbers = "0102dc0be80700ac0209018001 02 02000000bf000080bf".replace(' ', "");
    let body = format!("29{ROOT}0106{}ac0201{numbers}", "06".repeat(32));
    let signed = sign_verdict(verdict(1, Outcome::Valid));
    let valid = format!("{body}00");
    assert_eq!(fields(&signed.body, 5), valid);
    assert_signed(
        &signed,
        0x85,
        &valid,
        &keys("validator", 1),
        "5d8934c8862869fc10ce9cc418154d088f5cc6f89b9611cac7b1d0702930c293b1fbf0c7f7ccd23e8864315dfbb92753eeec9a781111618b2f9b841c870c7402",
    );
    // Check 17, sample Some 1, token Some 7, limit zigzag 100_000 = a08d06, given zigzag 9_024_000 = 80e4a604.
    let reason = RejectReason {
        check: Check::TokenMargin,
        sample_index: Some(1),
        position: Some(7),
        limit: 50_000,
        given: 4_512_000,
    };
    assert_eq!(
        fields(&verdict(1, Outcome::Invalid(reason)), 5),
        format!("{body}01 11 0101 0107 a08d06 80e4a604").replace(' ', "")
    );
    let missing = Outcome::Unchecked(UncheckedCause::WeightsMissing { version: 3 });
    assert_eq!(fields(&verdict(1, missing), 5), format!("{body}020003"));
}

#[test]
fn seal_and_reveal_have_their_golden_bytes() {
    let (reveal, validator) = (reveal(), keys("validator", 1));
    let seal = reveal.seal(&validator.public()).unwrap();
    assert_eq!(
        fields(&seal, 6),
        format!("29{ROOT}01{}", "3f1cea26bd07d71a0db971dd71cffcd133f1fe93b68739581508f2fe84ed9f95")
    );
    assert_eq!(fields(&reveal, 7), format!("{}{}", fields(&reveal.verdict, 0x85), "03".repeat(32)));
    let signed = Signed::new(seal, &terms().id(), &validator).unwrap();
    assert!(fields(&signed, 0x86).starts_with(&fields(&signed.body, 6)));
}

/// By hand: seed, orchestrator, trainer, two workers, two validators, group size 02, 200_000 ppm = c09a0c, probation 04,
/// temperature 1.0 = 0000803f, 64 new tokens = 40, context 128 = 8001, vocabulary 200 = c801, one stop token 02,
/// f32 = 00, hash chain = 00 with its anchor and length 1024 = 8008.
#[test]
fn terms_have_their_golden_bytes_and_id() {
    let key = |role: &str, index: u32| keys(role, index).public();
    let parties = |role: &str| format!("02{}{}", key(role, 0), key(role, 1));
    let expected = format!(
        "{}{}{}{}{}02c09a0c040000803f408001c801010200",
        "07".repeat(32),
        key("orchestrator", 0),
        key("trainer", 0),
        parties("worker"),
        parties("validator"),
    );
    assert_eq!(fields(&terms(), 10), format!("{expected}00{}8008", "04".repeat(32)));
    assert_eq!(hex(&terms().id()), "d6bf7ad95cc19039859077c1dfdabed9f5c0a63b25e96a49224027fa141b875d");
    let drand = RunTerms { beacon: BeaconTerms::Drand { chain: [5; 32] }, ..terms() };
    assert_eq!(fields(&drand, 10), format!("{expected}01{}", "05".repeat(32)));
}

/// By hand: step 05, leases [2: 29, 2a], four hashes.
#[test]
fn update_has_its_golden_bytes() {
    let batch = Update::batch_hash(&[[1; 32], [2; 32]]);
    assert_eq!(hex(&batch), "42beb999321e8ab721314b2af599549cfece7a6801b4d0563d173a2951c71ce9");
    let (state_before, state_after, weights) = ([3; 32], [4; 32], [5; 32]);
    let update = Update { step: 5, leases: vec![41, 42], batch, state_before, state_after, weights };
    let hashes = [batch, state_before, state_after, weights].map(|hash: Hash| hex(&hash)).concat();
    assert_eq!(fields(&update, 11), format!("0502292a{hashes}"));
}

#[test]
fn roots_have_their_golden_bytes() {
    let leaves = [b"a", b"b", b"c"].map(|bytes| merkle::leaf(bytes));
    assert_eq!(hex(&merkle::root(&leaves)), "ffdaa3ba996fb39c6ed24cf5419091a800d3b3b34a5e2adf0d4222ecf452bba8");
    assert_eq!(hex(&merkle::root(&[])), "da35cef844a5b2b9d2fcbc4a0aaed0737ee9a146373ffddf2a272a4126e788c7");
    assert_eq!(merkle::root(&leaves[..1]), leaves[0]);
}

/// The first pair is test 1 of RFC 8032, section 7.1.
#[test]
fn keys_have_their_golden_bytes() {
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let seed: [u8; 32] = std::array::from_fn(|i| u8::from_str_radix(&seed[2 * i..2 * i + 2], 16).unwrap());
    let public = Keypair::from_seed(&seed).public().to_string();
    assert_eq!(public, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(
        keys("worker", 1).public().to_string(),
        "ff2460b95dcb07e64db5c23d9fbc3807eec2bb7cbda618dcf6f4392099932c1a"
    );
}

#[test]
fn seeds_have_their_golden_bytes() {
    let run = run_seed(42);
    assert_eq!(hex(&run), "ec77ba2b50cd8dd0bcd454d2585158b95c590d1fa1a54d98a7abff12adccff89");
    let beacon = BeaconPoint { round: 1, randomness: [8; 32] };
    let seed = rollout_seed("train", &run, &beacon, 2, 3, 4, 5);
    assert_eq!(hex(&seed), "7b14533405d58f07f05d11e6d9708365f90314c69eda3cc2bdf229440ee131a4");
}

#[test]
fn every_field_of_the_seed_counts() {
    let base = lease();
    let seeds: Vec<[u8; 32]> = (0..9)
        .map(|field| {
            let mut lease = base.clone();
            match field {
                1 => lease.run_seed[31] ^= 1,
                2 => lease.beacon.round += 1,
                3 => lease.beacon.randomness[0] ^= 1,
                4 => lease.weight_version += 1,
                5 => lease.worker += 1,
                6 => lease.lease += 1,
                _ => {}
            }
            let domain = if field == 7 { Domain::Eval } else { Domain::Train };
            lease.sample_seed(domain, u32::from(field == 8))
        })
        .collect();
    for (index, seed) in seeds.iter().enumerate() {
        assert!(!seeds[..index].contains(seed), "field {index} does not change the seed");
    }
    assert_eq!(seeds[0], rollout_seed("train", &[7; 32], &base.beacon, 3, 0, 41, 0));
}
