//! One root for one list; one path for one leaf.
use proptest::prelude::*;
use protocol::{Hash, merkle};

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|index| merkle::leaf(&index.to_le_bytes())).collect()
}

#[test]
fn every_leaf_of_every_length_has_its_path() {
    for count in 1..=33 {
        let leaves = leaves(count);
        let root = merkle::root(&leaves);
        for index in 0..count {
            let path = merkle::path(&leaves, index);
            assert!(merkle::verify(&root, &leaves[index], index, count, &path), "{index} of {count}");
            assert!(path.len() <= count.next_power_of_two().ilog2() as usize, "{index} of {count}");
        }
        assert!(merkle::path(&leaves, count).is_empty());
    }
}

#[test]
fn a_doubled_last_leaf_changes_the_root() {
    // Bitcoin's tree doubles the last leaf of an odd level, so [a, b, c] and [a, b, c, c] share a root there.
    let three = leaves(3);
    let four = [three.clone(), vec![three[2]]].concat();
    assert_ne!(merkle::root(&three), merkle::root(&four));
}

#[test]
fn an_inner_node_is_no_leaf() {
    let four = leaves(4);
    let halves = [merkle::root(&four[..2]), merkle::root(&four[2..])];
    let root = merkle::root(&four);
    // A list of two hashes has this root, but only hashes of content are leaves of a commitment.
    assert_eq!(merkle::root(&halves), root);
    let bytes = [four[0], four[1]].concat();
    assert_ne!(merkle::leaf(&bytes), halves[0]);
}

proptest! {
    #[test]
    fn a_path_proves_nothing_else(
        count in 1usize..40, index in 0usize..40, other in 0usize..40, claimed in 1usize..40, at in any::<prop::sample::Index>(),
    ) {
        let leaves = leaves(count);
        let (index, other) = (index % count, other % count);
        let (root, mut path) = (merkle::root(&leaves), merkle::path(&leaves, index));
        prop_assert_eq!(merkle::verify(&root, &leaves[other], index, count, &path), other == index);
        prop_assert_eq!(merkle::verify(&root, &leaves[index], other, count, &path), other == index);
        prop_assert!(!merkle::verify(&root, &leaves[index], count, count, &path));
        // With another count the path may lead to the root only if the leaf's branch has the same shape.
        if merkle::verify(&root, &leaves[index], index, claimed, &path) {
            prop_assert_eq!(merkle::path(&self::leaves(claimed), index).len(), path.len());
        }
        path.push([0; 32]);
        prop_assert!(!merkle::verify(&root, &leaves[index], index, count, &path));
        path.pop();
        if !path.is_empty() {
            let at = at.index(path.len());
            path[at][0] ^= 1;
            prop_assert!(!merkle::verify(&root, &leaves[index], index, count, &path));
        }
    }
}
