// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IEpochRewards} from "./IEpochRewards.sol";
import {IStakeVault} from "./IStakeVault.sol";

/// @title The court's records: what a case is, what is told of it, and why a step is refused.
interface IDisputeCourt {
    /// @notice What a case is about.
    enum Kind {
        None,
        Stake,
        Root
    }

    /// @notice Where a case stands.
    enum State {
        None,
        Open,
        Answered,
        Guilty,
        Appealed,
        Closed
    }

    /// @notice How a closed case ended. `Expired`: nobody ruled in time, or the root was gone. `Overturned`: found
    ///         guilty, and acquitted on appeal. `Cancelled`: stopped by the guardian.
    enum Outcome {
        None,
        Acquitted,
        Convicted,
        Overturned,
        Expired,
        Cancelled
    }

    /// @notice One case.
    /// @param state Where it stands.
    /// @param kind What it is about.
    /// @param outcome How it ended.
    /// @param challenger Who brought it.
    /// @param deadline Last second of the step that is due: the ruling, the appeal, or the ruling on the appeal.
    /// @param accused Whose stake; zero in a root case.
    /// @param answerUntil Last second of the answer; before, nobody rules on an unanswered stake case.
    /// @param bond What the challenger put down, in micro-ESM.
    /// @param appealBond What the accused put down to appeal, in micro-ESM.
    /// @param amount Stake at risk, in micro-ESM.
    /// @param epoch Epoch of the challenged root.
    /// @param slashId Number of the slash in the vault.
    /// @param root The challenged root.
    /// @param evidence Hash of what the challenger says.
    /// @param answer Hash of what the accused says.
    struct Case {
        State state;
        Kind kind;
        Outcome outcome;
        address challenger;
        uint64 deadline;
        address accused;
        uint64 answerUntil;
        uint128 bond;
        uint128 appealBond;
        uint128 amount;
        uint64 epoch;
        uint64 slashId;
        bytes32 root;
        bytes32 evidence;
        bytes32 answer;
    }

    /// @notice The contracts and accounts the court works with.
    /// @param token The token of stake and bonds.
    /// @param vault Holds the stake; must grant the court SLASHER_ROLE.
    /// @param rewards Pays rewards; must grant the court COURT_ROLE.
    /// @param treasury Receives what losers pay.
    /// @param admin Holds DEFAULT_ADMIN_ROLE: the deployer until it has handed over to the timelock.
    struct Parts {
        IERC20 token;
        IStakeVault vault;
        IEpochRewards rewards;
        address treasury;
        address admin;
    }

    /// @notice How long each step may take, in seconds.
    /// @param answer For the accused to answer.
    /// @param ruling For the committee to rule, counted from the end of the answer's time.
    /// @param appeal For the accused to appeal, counted from the ruling.
    /// @param appealRuling For the timelock to rule on an appeal; longer than the timelock's own delay.
    /// @param rootRuling For the committee to rule on a root.
    struct Windows {
        uint64 answer;
        uint64 ruling;
        uint64 appeal;
        uint64 appealRuling;
        uint64 rootRuling;
    }

    /// @notice What a challenge costs: `max(least, amount · ppm / 1 000 000)`; a root challenge costs `root`.
    /// @param least Smallest bond of a stake case, in micro-ESM.
    /// @param ppm Millionths of the amount at risk.
    /// @param root Bond of a root case, in micro-ESM.
    struct Bonds {
        uint96 least;
        uint32 ppm;
        uint96 root;
    }

    /// @notice A node was accused, and its stake reserved.
    /// @param id Number of the case.
    /// @param challenger Who accuses.
    /// @param accused Whose stake.
    /// @param amount Stake at risk, in micro-ESM.
    /// @param bond What the challenger put down, in micro-ESM.
    /// @param slashId Number of the slash in the vault.
    /// @param evidence Hash of what the challenger says.
    /// @param answerUntil Last second of the answer.
    /// @param ruleUntil Last second of the ruling.
    event CaseOpened(
        uint256 indexed id,
        address indexed challenger,
        address indexed accused,
        uint128 amount,
        uint128 bond,
        uint256 slashId,
        bytes32 evidence,
        uint64 answerUntil,
        uint64 ruleUntil
    );
    /// @notice A pending root was challenged, and held.
    /// @param id Number of the case.
    /// @param challenger Who challenges.
    /// @param epoch Epoch of the root.
    /// @param root The root.
    /// @param bond What the challenger put down, in micro-ESM.
    /// @param evidence Hash of what the challenger says.
    /// @param ruleUntil Last second of the ruling; the root is live the second after.
    event RootChallenged(
        uint256 indexed id,
        address indexed challenger,
        uint64 indexed epoch,
        bytes32 root,
        uint128 bond,
        bytes32 evidence,
        uint64 ruleUntil
    );
    /// @notice The accused answered.
    /// @param id Number of the case.
    /// @param answer Hash of the answer.
    event Answered(uint256 indexed id, bytes32 answer);
    /// @notice The committee ruled. In a stake case `guilty` can be appealed until `appealUntil`.
    /// @param id Number of the case.
    /// @param guilty Whether the accusation holds.
    /// @param reasons Hash of the reasons.
    /// @param committee Number of the committee.
    /// @param appealUntil Last second of an appeal; zero if there is none.
    event Ruled(uint256 indexed id, bool guilty, bytes32 reasons, uint64 committee, uint64 appealUntil);
    /// @notice The accused appealed.
    /// @param id Number of the case.
    /// @param bond What the accused put down, in micro-ESM.
    /// @param reasons Hash of the reasons.
    /// @param ruleUntil Last second of the ruling on it.
    event Appealed(uint256 indexed id, uint128 bond, bytes32 reasons, uint64 ruleUntil);
    /// @notice A case ended, and its bonds went out: the three shares sum to what it held.
    /// @param id Number of the case.
    /// @param outcome How it ended.
    /// @param toChallenger Paid to the challenger, in micro-ESM; the vault's bounty is not in it.
    /// @param toAccused Paid to the accused, in micro-ESM.
    /// @param toTreasury Paid to the treasury, in micro-ESM.
    event CaseClosed(
        uint256 indexed id, Outcome outcome, uint128 toChallenger, uint128 toAccused, uint128 toTreasury
    );
    /// @notice The price of a challenge changed.
    /// @param least Smallest bond of a stake case, in micro-ESM.
    /// @param ppm Millionths of the amount at risk.
    /// @param root Bond of a root case, in micro-ESM.
    event BondsSet(uint96 least, uint32 ppm, uint96 root);

    /// @notice An address that must not be zero is.
    error ZeroAddress();
    /// @notice A window is outside its bounds.
    /// @param least Shortest, in seconds.
    /// @param most Longest, in seconds.
    /// @param given What was given, in seconds.
    error WindowBounds(uint64 least, uint64 most, uint64 given);
    /// @notice A bond's share is above the whole, or a bond is zero.
    /// @param least Smallest, in micro-ESM or millionths.
    /// @param most Largest.
    /// @param given What was given.
    error BondBounds(uint256 least, uint256 most, uint256 given);
    /// @notice A case over nothing was brought.
    error NoAmount();
    /// @notice Nobody accuses himself.
    /// @param given Who tried.
    error SelfAccused(address given);
    /// @notice The case does not stand where this step begins.
    /// @param id Number of the case.
    /// @param given Where it stands.
    error WrongState(uint256 id, State given);
    /// @notice Only the accused may do this.
    /// @param accused Who that is.
    /// @param given Who tried.
    error NotAccused(address accused, address given);
    /// @notice The step's time has passed.
    /// @param deadline Its last second.
    /// @param given Now.
    error TooLate(uint64 deadline, uint256 given);
    /// @notice The step's time has not come.
    /// @param readyAt Its first second.
    /// @param given Now.
    error TooEarly(uint64 readyAt, uint256 given);
    /// @notice The challenged root is not the one that is pending.
    /// @param epoch Epoch that was given.
    /// @param root Root that was given.
    error NotPending(uint64 epoch, bytes32 root);
}
