//! What is written is read back, bit for bit; what is read would be written the same.
use proptest::prelude::*;
use protocol::{
    CheckOrder, Group, PlantRequest, PromptLease, Record, RevealOrder, Rollout, RunTerms, Signed, Submission, Update,
    Verdict, VerdictReveal, VerdictSeal,
};

use super::strategies::{
    any_group, any_lease, any_order, any_plant, any_reveal, any_rollout, any_seal, any_signed_verdict, any_submission,
    any_terms, any_update,
};

fn round_trip<T: Record + PartialEq + std::fmt::Debug>(record: &T) -> Result<(), TestCaseError> {
    let bytes = record.encode().unwrap();
    prop_assert_eq!(&T::decode(&bytes).unwrap(), record);
    Ok(())
}

/// Changes one byte, cuts or adds some, and reads the result as every kind of record.
fn damage(bytes: &[u8], place: prop::sample::Index, value: u8, cut: usize) -> Result<(), TestCaseError> {
    let mut bytes = bytes.to_vec();
    let place = place.index(bytes.len());
    bytes[place] = value;
    bytes.truncate(bytes.len() - cut.min(bytes.len()));
    every_kind_reads_as_written(&bytes)
}

fn every_kind_reads_as_written(bytes: &[u8]) -> Result<(), TestCaseError> {
    reads_as_written::<PromptLease>(bytes)?;
    reads_as_written::<Rollout>(bytes)?;
    reads_as_written::<Group>(bytes)?;
    reads_as_written::<Submission>(bytes)?;
    reads_as_written::<CheckOrder>(bytes)?;
    reads_as_written::<RevealOrder>(bytes)?;
    reads_as_written::<Signed<PlantRequest>>(bytes)?;
    reads_as_written::<Signed<Verdict>>(bytes)?;
    reads_as_written::<Signed<VerdictSeal>>(bytes)?;
    reads_as_written::<VerdictReveal>(bytes)?;
    reads_as_written::<RunTerms>(bytes)?;
    reads_as_written::<Signed<Update>>(bytes)
}

fn reads_as_written<T: Record>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(read) = T::decode(bytes) {
        prop_assert_eq!(read.encode().unwrap(), bytes);
    }
    Ok(())
}

proptest! {
    #[test]
    fn leases_and_rollouts_survive(lease in any_lease(), rollout in any_rollout(3, vec![1, 2])) {
        round_trip(&lease)?;
        round_trip(&rollout)?;
    }

    #[test]
    fn groups_submissions_and_orders_survive(group in any_group(), order in any_order(), lease in any::<u64>()) {
        round_trip(&group)?;
        round_trip(&order.submission.commitment)?;
        round_trip(&order.submission.lease)?;
        round_trip(&order.submission)?;
        round_trip(&order)?;
        round_trip(&RevealOrder { lease })?;
    }

    #[test]
    fn plant_requests_survive(request in any_plant()) {
        round_trip(&request.body)?;
        round_trip(&request)?;
    }

    #[test]
    fn verdicts_seals_and_reveals_survive(seal in any_seal(), reveal in any_reveal()) {
        round_trip(&seal)?;
        round_trip(&reveal.verdict.body)?;
        round_trip(&reveal.verdict)?;
        round_trip(&reveal)?;
    }

    #[test]
    fn terms_and_updates_survive(terms in any_terms(), update in any_update()) {
        round_trip(&terms)?;
        round_trip(&update)?;
    }

    #[test]
    fn other_terms_have_another_id(terms in any_terms(), other in any_terms()) {
        prop_assert_eq!(terms.id() == other.id(), terms == other);
    }

    #[test]
    fn damaged_bytes_never_panic_and_never_have_two_forms(
        order in any_order(), reveal in any_reveal(), terms in any_terms(), update in any_update(), seal in any_seal(),
        verdict in any_signed_verdict(), submission in any_submission(), plant in any_plant(),
        place in any::<prop::sample::Index>(), value in any::<u8>(), cut in prop_oneof![3 => Just(0usize), 1 => 0usize..64],
    ) {
        let records = [
            order.encode(), reveal.encode(), terms.encode(), update.encode(), seal.encode(), verdict.encode(),
            submission.encode(), submission.group().encode(), submission.lease.body.encode(), plant.encode(),
        ];
        for bytes in records {
            damage(&bytes.unwrap(), place, value, cut)?;
        }
    }

    #[test]
    fn noise_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 2..400), kind in 0u8..16, signed: bool) {
        bytes[..2].copy_from_slice(&[2, kind | u8::from(signed) << 7]);
        every_kind_reads_as_written(&bytes)?;
    }
}
