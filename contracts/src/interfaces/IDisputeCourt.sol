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
    /// @param bond What the challenger put down.
    /// @param appealBond What the accused put down to appeal.
    /// @param amount Stake at risk.
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
        uint256 slashId;
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
    /// @param least Smallest bond of a stake case.
    /// @param ppm Millionths of the amount at risk.
    /// @param root Bond of a root case.
    struct Bonds {
        uint96 least;
        uint32 ppm;
        uint96 root;
    }

    /// @notice A node was accused, and its stake reserved.
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
    event Answered(uint256 indexed id, bytes32 answer);
    /// @notice The committee ruled. In a stake case `guilty` can be appealed until `appealUntil`.
    event Ruled(uint256 indexed id, bool guilty, bytes32 reasons, uint64 committee, uint64 appealUntil);
    /// @notice The accused appealed.
    event Appealed(uint256 indexed id, uint128 bond, bytes32 reasons, uint64 ruleUntil);
    /// @notice A case ended, and its bonds went out: the three shares sum to what it held.
    event CaseClosed(
        uint256 indexed id, Outcome outcome, uint128 toChallenger, uint128 toAccused, uint128 toTreasury
    );
    /// @notice The price of a challenge changed.
    event BondsSet(uint96 least, uint32 ppm, uint96 root);

    /// @notice An address that must not be zero is.
    error ZeroAddress();
    /// @notice A window is outside its bounds.
    error WindowBounds(uint64 least, uint64 most, uint64 given);
    /// @notice A bond's share is above the whole, or a bond is zero.
    error BondBounds(uint256 least, uint256 most, uint256 given);
    /// @notice A case is about something.
    error NoAmount();
    /// @notice Nobody accuses himself.
    error SelfAccused(address given);
    /// @notice The case does not stand where this step begins.
    error WrongState(uint256 id, State given);
    /// @notice Only a party may do this.
    error NotAccused(address accused, address given);
    /// @notice The step's time has passed.
    error TooLate(uint64 deadline, uint256 given);
    /// @notice The step's time has not come.
    error TooEarly(uint64 readyAt, uint256 given);
    /// @notice The challenged root is not the one that is pending.
    error NotPending(uint64 epoch, bytes32 root);
}
