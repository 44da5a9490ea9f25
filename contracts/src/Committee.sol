// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title A changeable set of members, of which a majority must sign.
/// @notice Each change makes a new committee with a new number. A ruling names the number, so signatures made for an
///         old committee are worth nothing. Members may be contracts (ERC-1271).
///         Promises: a member counts once; a party to the case does not count; two opposite rulings of one
///         committee need somebody to sign both.
abstract contract Committee {
    /// @notice One member's signature under a ruling.
    /// @param member Who signs.
    /// @param signature 65 bytes of an ordinary account, or what the member's ERC-1271 contract wants.
    struct Ballot {
        address member;
        bytes signature;
    }

    /// @notice Most members a committee can have, so that a ruling fits into a block.
    uint256 public constant COMMITTEE_MAX = 32;

    mapping(uint256 committee => mapping(address member => bool)) private _members;

    /// @notice Number of the committee that sits now; the first is 1.
    uint64 public committee;
    /// @notice Its size.
    uint16 public committeeSize;
    /// @notice How many of its members must sign.
    uint16 public threshold;

    /// @notice A new committee sits.
    /// @param committee Its number.
    /// @param members Who sits, ascending.
    /// @param threshold How many must sign.
    event CommitteeSet(uint64 indexed committee, address[] members, uint16 threshold);

    /// @notice Too many members, or none.
    /// @param limit The most members.
    /// @param given Members given.
    error CommitteeSize(uint256 limit, uint256 given);
    /// @notice The threshold must be more than half of the members and no more than all.
    /// @param least Smallest majority.
    /// @param most All members.
    /// @param given Threshold given.
    error Threshold(uint256 least, uint256 most, uint256 given);
    /// @notice Members and ballots come in ascending order of address, each once, never zero.
    /// @param before The address before.
    /// @param given The address that is not above it.
    error NotAscending(address before, address given);
    /// @notice A ruling was made for another committee than the one that sits.
    /// @param sitting Number of the committee that sits.
    /// @param given Number in the ruling.
    error OtherCommittee(uint64 sitting, uint64 given);
    /// @notice Fewer ballots than the threshold, or more than members.
    /// @param least The threshold.
    /// @param most The committee's size.
    /// @param given Ballots given.
    error Ballots(uint256 least, uint256 most, uint256 given);
    /// @notice The signer is not a member.
    /// @param given The signer.
    error NotMember(address given);
    /// @notice The signer is a party to the case.
    /// @param given The signer.
    error MemberIsParty(address given);
    /// @notice The signature is not the member's over this ruling.
    /// @param member The signer.
    /// @param digest What should have been signed.
    error BadBallot(address member, bytes32 digest);

    /// @notice Whether a member sits, or sat, on a committee.
    /// @param number The committee's number.
    /// @param member Who.
    function isMember(uint64 number, address member) public view returns (bool) {
        return _members[number][member];
    }

    /// Seats a new committee. `members` ascending.
    function _setCommittee(address[] memory members, uint16 needed) internal {
        uint256 size = members.length;
        if (size == 0 || size > COMMITTEE_MAX) revert CommitteeSize(COMMITTEE_MAX, size);
        if (needed > size || uint256(needed) * 2 <= size) revert Threshold(size / 2 + 1, size, needed);
        uint64 number = ++committee;
        address before = address(0);
        for (uint256 i = 0; i < size; ++i) {
            if (members[i] <= before) revert NotAscending(before, members[i]);
            before = members[i];
            _members[number][before] = true;
        }
        committeeSize = uint16(size); // at most COMMITTEE_MAX
        threshold = needed;
        emit CommitteeSet(number, members, needed);
    }

    /// Checks that enough members signed `digest`, none of them `one` or `other`. `ballots` ascending by member.
    function _requireRuling(bytes32 digest, uint64 number, Ballot[] calldata ballots, address one, address other)
        internal
        view
    {
        if (number != committee) revert OtherCommittee(committee, number);
        uint256 given = ballots.length;
        if (given < threshold || given > committeeSize) revert Ballots(threshold, committeeSize, given);
        address before = address(0);
        for (uint256 i = 0; i < given; ++i) {
            address member = ballots[i].member;
            if (member <= before) revert NotAscending(before, member);
            before = member;
            if (!_members[number][member]) revert NotMember(member);
            if (member == one || member == other) revert MemberIsParty(member);
            if (!SignatureChecker.isValidSignatureNow(member, digest, ballots[i].signature)) {
                revert BadBallot(member, digest);
            }
        }
    }
}
