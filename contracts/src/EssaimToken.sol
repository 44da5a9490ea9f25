// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// @title The token that pays for verified work and that is staked against lies.
/// @notice Promise: the supply never exceeds `cap`, and only the holder of MINTER adds to it. Nobody can freeze,
///         seize or burn another's balance. One token is 1_000_000 units, the micro-ESM in which the ledger counts;
///         the cap fits 64 bits, so every balance is an amount of the ledger.
/// @dev Votes count by time stamp, because block times differ between chains. Holders delegate by hand: delegating
///      everybody at once would triple the price of a transfer.
contract EssaimToken is ERC20, ERC20Permit, ERC20Votes, AccessControl {
    /// @notice May mint. Held by the emission schedule alone.
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");

    /// @notice The most units that may ever exist, in micro-ESM.
    uint256 public immutable cap;
    uint256 private _supply;
    /// @dev Twice the balance, plus one if the holder delegates: a transfer between holders who never delegated reads
    ///      no vote storage, which is 4,900 gas less than with OpenZeppelin's balances. The cap leaves 191 bits spare.
    mapping(address account => uint256) private _holdings;

    /// @notice Minting would lift the supply above the cap.
    /// @param limit The cap, in micro-ESM.
    /// @param given The supply that was asked for, in micro-ESM.
    error CapExceeded(uint256 limit, uint256 given);

    /// @notice The cap does not fit the ledger's amounts, or is zero.
    /// @param limit The largest cap, in micro-ESM.
    /// @param given The cap that was asked for, in micro-ESM.
    error CapOutOfRange(uint256 limit, uint256 given);

    /// @param cap_ The most units that may ever exist, in micro-ESM; 1 to 2^64 - 1.
    /// @param genesisHolder Who receives the first units.
    /// @param genesis How many, in micro-ESM; zero for none.
    /// @param admin Grants and revokes MINTER; the deployer hands this to the timelock.
    constructor(uint256 cap_, address genesisHolder, uint256 genesis, address admin)
        ERC20("Essaim", "ESM")
        ERC20Permit("Essaim")
    {
        if (cap_ == 0 || cap_ > type(uint64).max) revert CapOutOfRange(type(uint64).max, cap_);
        cap = cap_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        if (genesis != 0) _mint(genesisHolder, genesis);
    }

    /// @notice Makes new units. Only MINTER.
    /// @param to Who receives them.
    /// @param amount How many, in micro-ESM. Fails with `CapExceeded` above the cap.
    function mint(address to, uint256 amount) external onlyRole(MINTER_ROLE) {
        _mint(to, amount);
    }

    /// @notice Digits after the point: 6.
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @notice Votes are counted at seconds since 1970.
    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    /// @notice The clock's kind, as ERC-6372 names it.
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @inheritdoc ERC20Permit
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    /// @inheritdoc ERC20
    function balanceOf(address account) public view override returns (uint256) {
        return _holdings[account] >> 1;
    }

    /// @inheritdoc ERC20
    function totalSupply() public view override returns (uint256) {
        return _supply;
    }

    /// @dev Moves balances as OpenZeppelin's ERC20 does, holds a mint to the cap, and moves votes only where somebody
    ///      votes. Nothing burns, so `to` is never zero.
    function _update(address from, address to, uint256 amount) internal override(ERC20, ERC20Votes) {
        if (from == address(0)) {
            uint256 supply = _supply + amount;
            if (supply > cap) revert CapExceeded(cap, supply);
            _supply = supply;
            _holdings[to] += amount << 1;
            emit Transfer(from, to, amount);
            _transferVotingUnits(from, to, amount);
            return;
        }
        uint256 sender = _holdings[from];
        if (amount > sender >> 1) revert ERC20InsufficientBalance(from, sender >> 1, amount);
        _holdings[from] = sender - (amount << 1);
        // Read after the sender was written, for the two may be one.
        uint256 receiver = _holdings[to];
        _holdings[to] = receiver + (amount << 1);
        emit Transfer(from, to, amount);
        if ((sender | receiver) & 1 == 1) _transferVotingUnits(from, to, amount);
    }

    /// @dev Remembers beside the balance whether the holder delegates.
    function _delegate(address account, address delegatee) internal override {
        uint256 balance = _holdings[account] >> 1;
        _holdings[account] = (balance << 1) | (delegatee == address(0) ? 0 : 1);
        super._delegate(account, delegatee);
    }
}
