// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Strict ed25519 (RFC 8032) verification of 32-byte messages.
/// @notice Promise: says yes only if `s·B = R + k·A` holds exactly (no cofactor), `k = SHA-512(R ‖ A ‖ message)`,
///         where `s < L`, both points are written in the one canonical way, and neither has small order. These are
///         the rules of `verify_strict` in ed25519-dalek, so a signature that the chain takes is one that the nodes
///         take, and nobody can alter it into another one.
/// @dev Points are `(x, y, z)` or `(x, y, z, t)`, extended twisted Edwards coordinates with a = -1 (Hisil, Wong,
///      Carter, Dawson 2008): the affine point is `(x/z, y/z)`, and `t = x·y/z`. Sums are left unreduced below `2p`,
///      which still fits 256 bits. A point in a table is `(y+x, y-x, 2·d·t, 2·z)`, 128 bytes; the addition law is
///      complete, so no case of it is special. Memory after the free pointer is scratch and not kept.
library Ed25519 {
    /// Prime of the field, `2^255 - 19`.
    uint256 private constant P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed;
    /// `2·P`.
    uint256 private constant TWO_P = 0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffda;
    /// Order of the base point, `2^252 + 27742317777372353535851937790883648493`.
    uint256 private constant L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed;
    /// `2^256 mod L`.
    uint256 private constant HIGH = 0x0ffffffffffffffffffffffffffffffec6ef5bf4737dcf70d6ec31748d98951d;
    /// The curve's `d = -121665/121666`.
    uint256 private constant D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3;
    /// `2·d`.
    uint256 private constant D2 = 0x2406d9dc56dffce7198e80f2eef3d13000e0149a8283b156ebd69b9426b2f159;
    /// A square root of -1.
    uint256 private constant ROOT = 0x2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0;
    /// The y of four of the points of order 8; the other four have `P - ORDER_8`.
    uint256 private constant ORDER_8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7;
    /// All bits of a 64-bit word.
    uint256 private constant WORD = 0xffffffffffffffff;
    /// `2^64 + 1`: times a word it is the word twice, so that a shift becomes a rotation.
    uint256 private constant TWICE = 0x10000000000000001;

    /// @notice Whether `r ‖ s` is the signature of `key` over `message`. Never reverts on bad input; gas is about
    ///         the same for all inputs that reach the curve.
    /// @param key Public key, 32 bytes in the order of RFC 8032.
    /// @param r First half of the signature.
    /// @param s Second half of the signature.
    /// @param message What was signed.
    function verify(bytes32 key, bytes32 r, bytes32 s, bytes32 message) internal view returns (bool) {
        uint256 scalar = _reverse(uint256(s));
        if (scalar >= L || _isSmall(_reverse(uint256(r)))) return false;
        uint256 keyBits = _reverse(uint256(key));
        if (_isSmall(keyBits)) return false;
        (bool found, uint256 x, uint256 y) = _decompress(keyBits);
        if (!found) return false;
        uint256 z;
        (x, y, z) = _combine(P - x, y, _challenge(r, key, message), scalar, P);
        return _reverse(_compress(x, y, z)) == uint256(r);
    }

    /// The 32 bytes in the opposite order.
    function _reverse(uint256 v) private pure returns (uint256) {
        uint256 m = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
        v = ((v >> 8) & m) | ((v & m) << 8);
        m = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
        v = ((v >> 16) & m) | ((v & m) << 16);
        m = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
        v = ((v >> 32) & m) | ((v & m) << 32);
        m = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
        v = ((v >> 64) & m) | ((v & m) << 64);
        return (v >> 128) | (v << 128);
    }

    /// Whether a canonical encoding (sign in bit 255) is of a point whose order divides 8. Their y are 0 (order 4),
    /// 1 (order 1), -1 (order 2) and two of order 8.
    function _isSmall(uint256 bits) private pure returns (bool) {
        uint256 y = bits & type(uint256).max >> 1;
        return y < 2 || y == P - 1 || y == ORDER_8 || y == P - ORDER_8;
    }

    /// The point written as `bits`; not found if y is not below P or is on no point. With `u = y² - 1` and
    /// `v = d·y² + 1` a root of `u/v` is `x = u·v³·(u·v⁷)^((P-5)/8)`, times the root of -1 if `v·x² = -u`. A zero x
    /// belongs to small orders only, which were refused before.
    function _decompress(uint256 bits) private view returns (bool found, uint256 x, uint256 y) {
        unchecked {
            y = bits & type(uint256).max >> 1;
            if (y >= P) return (false, 0, 0);
            uint256 v = mulmod(y, y, P);
            uint256 u = v + (P - 1);
            v = mulmod(D, v, P) + 1;
            uint256 v3 = mulmod(mulmod(v, v, P), v, P);
            x = mulmod(mulmod(mulmod(v3, v3, P), v, P), u, P);
            x = mulmod(mulmod(u, v3, P), _power(x, (P - 5) / 8), P);
            uint256 check = mulmod(mulmod(x, x, P), v, P);
            if (addmod(check, u, P) == 0) x = mulmod(x, ROOT, P);
            else if (check != u % P) return (false, 0, 0);
            if (x & 1 != bits >> 255) x = P - x;
            found = true;
        }
    }

    /// The encoding of a point: y, and the lowest bit of x at the top.
    function _compress(uint256 x, uint256 y, uint256 z) private view returns (uint256) {
        uint256 inverse = _power(z, P - 2);
        return mulmod(y, inverse, P) | mulmod(x, inverse, P) << 255;
    }

    /// `base^exponent mod P`, by the precompile at address 5.
    function _power(uint256 base, uint256 exponent) private view returns (uint256 result) {
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, 0x20)
            mstore(add(m, 0x20), 0x20)
            mstore(add(m, 0x40), 0x20)
            mstore(add(m, 0x60), base)
            mstore(add(m, 0x80), exponent)
            mstore(add(m, 0xa0), P)
            // fails without gas, or where there is no such precompile
            if iszero(and(eq(returndatasize(), 0x20), staticcall(gas(), 5, m, 0xc0, 0x00, 0x20))) { revert(0, 0) }
            result := mload(0x00)
        }
    }

    /// `SHA-512(r ‖ key ‖ message) mod L`, the digest read as a little-endian number.
    function _challenge(bytes32 r, bytes32 key, bytes32 message) private pure returns (uint256) {
        uint256 w = _schedule(r, key, message, WORD, TWICE);
        (uint256 low, uint256 high) = _rounds(WORD, TWICE, w);
        return addmod(mulmod(_reverse(high), HIGH, L), _reverse(low), L);
    }

    /// Writes the 80 words of the message schedule at `w` and the 80 constants of SHA-512 at `w + 0x2a0`; 96 bytes
    /// are one block.
    /// @dev Words lie packed, eight bytes each; `mload(i)` has the wanted word in its lowest 64 bits, and whatever
    ///      is above is cut off after the sums.
    function _schedule(bytes32 r, bytes32 key, bytes32 message, uint256 word, uint256 twice)
        private
        pure
        returns (uint256 w)
    {
        assembly ("memory-safe") {
            w := add(mload(0x40), 0x20)
            mstore(w, r)
            mstore(add(w, 0x20), key)
            mstore(add(w, 0x40), message)
            mstore(add(w, 0x60), 0x8000000000000000000000000000000000000000000000000000000000000300)
            // w[j] = s1(w[j-2]) + w[j-7] + s0(w[j-15]) + w[j-16]
            let i := add(w, 0x80)
            for { let end := add(w, 0x280) } lt(i, end) { i := add(i, 8) } {
                let x := and(mload(sub(i, 0x90)), word)
                let y := mul(x, twice)
                let sum := xor(xor(shr(1, y), shr(8, y)), shr(7, x))
                x := and(mload(sub(i, 0x28)), word)
                y := mul(x, twice)
                sum := add(sum, xor(xor(shr(19, y), shr(61, y)), shr(6, x)))
                mstore(i, shl(192, add(add(sum, mload(sub(i, 0x50))), mload(sub(i, 0x98)))))
            }
            // the fractional parts of the cube roots of the first 80 primes
            let k := add(w, 0x2a0)
            mstore(add(k, 0x000), 0x428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc)
            mstore(add(k, 0x020), 0x3956c25bf348b53859f111f1b605d019923f82a4af194f9bab1c5ed5da6d8118)
            mstore(add(k, 0x040), 0xd807aa98a303024212835b0145706fbe243185be4ee4b28c550c7dc3d5ffb4e2)
            mstore(add(k, 0x060), 0x72be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235c19bf174cf692694)
            mstore(add(k, 0x080), 0xe49b69c19ef14ad2efbe4786384f25e30fc19dc68b8cd5b5240ca1cc77ac9c65)
            mstore(add(k, 0x0a0), 0x2de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5)
            mstore(add(k, 0x0c0), 0x983e5152ee66dfaba831c66d2db43210b00327c898fb213fbf597fc7beef0ee4)
            mstore(add(k, 0x0e0), 0xc6e00bf33da88fc2d5a79147930aa72506ca6351e003826f142929670a0e6e70)
            mstore(add(k, 0x100), 0x27b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed53380d139d95b3df)
            mstore(add(k, 0x120), 0x650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353b)
            mstore(add(k, 0x140), 0xa2bfe8a14cf10364a81a664bbc423001c24b8b70d0f89791c76c51a30654be30)
            mstore(add(k, 0x160), 0xd192e819d6ef5218d69906245565a910f40e35855771202a106aa07032bbd1b8)
            mstore(add(k, 0x180), 0x19a4c116b8d2d0c81e376c085141ab532748774cdf8eeb9934b0bcb5e19b48a8)
            mstore(add(k, 0x1a0), 0x391c0cb3c5c95a634ed8aa4ae3418acb5b9cca4f7763e373682e6ff3d6b2b8a3)
            mstore(add(k, 0x1c0), 0x748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec)
            mstore(add(k, 0x1e0), 0x90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532b)
            mstore(add(k, 0x200), 0xca273eceea26619cd186b8c721c0c207eada7dd6cde0eb1ef57d4f7fee6ed178)
            mstore(add(k, 0x220), 0x06f067aa72176fba0a637dc5a2c898a6113f9804bef90dae1b710b35131c471b)
            mstore(add(k, 0x240), 0x28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc431d67c49c100d4c)
            mstore(add(k, 0x260), 0x4cc5d4becb3e42b6597f299cfc657e2a5fcb6fab3ad6faec6c44198c4a475817)
        }
    }

    /// The 80 rounds of SHA-512 over what `_schedule` wrote; the digest's two halves.
    function _rounds(uint256 word, uint256 twice, uint256 w) private pure returns (uint256 low, uint256 high) {
        assembly ("memory-safe") {
            // the fractional parts of the square roots of the first 8 primes
            let a := 0x6a09e667f3bcc908
            let b := 0xbb67ae8584caa73b
            let c := 0x3c6ef372fe94f82b
            let d := 0xa54ff53a5f1d36f1
            let e := 0x510e527fade682d1
            let f := 0x9b05688c2b3e6c1f
            let g := 0x1f83d9abfb41bd6b
            let h := 0x5be0cd19137e2179
            // eight rounds a turn, after which the letters are back in their places
            for { w := sub(w, 24) } 1 {} {
                let x
                x := mul(e, twice)
                h := add(add(h, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(g, and(e, xor(f, g))))
                h := add(h, add(mload(w), mload(add(w, 0x2a0))))
                d := and(add(d, h), word)
                x := mul(a, twice)
                h := add(h, xor(xor(shr(28, x), shr(34, x)), shr(39, x)))
                h := and(add(h, or(and(a, b), and(c, or(a, b)))), word)
                x := mul(d, twice)
                g := add(add(g, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(f, and(d, xor(e, f))))
                g := add(g, add(mload(add(w, 0x8)), mload(add(w, 0x2a8))))
                c := and(add(c, g), word)
                x := mul(h, twice)
                g := add(g, xor(xor(shr(28, x), shr(34, x)), shr(39, x)))
                g := and(add(g, or(and(h, a), and(b, or(h, a)))), word)
                x := mul(c, twice)
                f := add(add(f, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(e, and(c, xor(d, e))))
                f := add(f, add(mload(add(w, 0x10)), mload(add(w, 0x2b0))))
                b := and(add(b, f), word)
                x := mul(g, twice)
                f := add(f, xor(xor(shr(28, x), shr(34, x)), shr(39, x)))
                f := and(add(f, or(and(g, h), and(a, or(g, h)))), word)
                x := mul(b, twice)
                e := add(add(e, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(d, and(b, xor(c, d))))
                e := add(e, add(mload(add(w, 0x18)), mload(add(w, 0x2b8))))
                a := and(add(a, e), word)
                x := mul(f, twice)
                e := add(e, xor(xor(shr(28, x), shr(34, x)), shr(39, x)))
                e := and(add(e, or(and(f, g), and(h, or(f, g)))), word)
                x := mul(a, twice)
                d := add(add(d, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(c, and(a, xor(b, c))))
                d := add(d, add(mload(add(w, 0x20)), mload(add(w, 0x2c0))))
                h := and(add(h, d), word)
                x := mul(e, twice)
                d := add(d, xor(xor(shr(28, x), shr(34, x)), shr(39, x)))
                d := and(add(d, or(and(e, f), and(g, or(e, f)))), word)
                x := mul(h, twice)
                c := add(add(c, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(b, and(h, xor(a, b))))
                c := add(c, add(mload(add(w, 0x28)), mload(add(w, 0x2c8))))
                g := and(add(g, c), word)
                x := mul(d, twice)
                c := add(c, xor(xor(shr(28, x), shr(34, x)), shr(39, x)))
                c := and(add(c, or(and(d, e), and(f, or(d, e)))), word)
                x := mul(g, twice)
                b := add(add(b, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(a, and(g, xor(h, a))))
                b := add(b, add(mload(add(w, 0x30)), mload(add(w, 0x2d0))))
                f := and(add(f, b), word)
                x := mul(c, twice)
                b := add(b, xor(xor(shr(28, x), shr(34, x)), shr(39, x)))
                b := and(add(b, or(and(c, d), and(e, or(c, d)))), word)
                x := mul(f, twice)
                a := add(add(a, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(h, and(f, xor(g, h))))
                a := add(a, add(mload(add(w, 0x38)), mload(add(w, 0x2d8))))
                e := and(add(e, a), word)
                x := mul(b, twice)
                a := add(a, xor(xor(shr(28, x), shr(34, x)), shr(39, x)))
                a := and(add(a, or(and(b, c), and(d, or(b, c)))), word)
                w := add(w, 0x40)
                if eq(w, add(mload(0x40), 0x288)) { break }
            }
            low := or(shl(192, add(a, 0x6a09e667f3bcc908)), shl(128, and(add(b, 0xbb67ae8584caa73b), word)))
            low := or(low, shl(64, and(add(c, 0x3c6ef372fe94f82b), word)))
            low := or(low, and(add(d, 0xa54ff53a5f1d36f1), word))
            high := or(shl(192, add(e, 0x510e527fade682d1)), shl(128, and(add(f, 0x9b05688c2b3e6c1f), word)))
            high := or(high, shl(64, and(add(g, 0x1f83d9abfb41bd6b), word)))
            high := or(high, and(add(h, 0x5be0cd19137e2179), word))
        }
    }

    /// Writes the entries 1..15 of the multiples of B at `table + 0x800`. Their z is 1 and not stored.
    function _baseMultiples(uint256 table) private pure {
        assembly ("memory-safe") {
            mstore(add(table, 0x880), 0x07cf9d3a33d4ba65270b4898643d42c2cf932dc6fb8c0e192fbc93c6f58c3b85)
            mstore(add(table, 0x8a0), 0x44fd2f9298f81267a5c18434688f8a09fd399f05d140beb39d103905d740913e)
            mstore(add(table, 0x8c0), 0x6f117b689f0c65a85a1b7dcbdd43598c26d9e823ccaac49eabc91205877aaa68)
            mstore(add(table, 0x900), 0x590c063fa87d2e2e5aa69a65e1d607029f469d967a0ff5b59224e7fc933c71d7)
            mstore(add(table, 0x920), 0x6bb595a669c92555e09e236bb16e37aa8f2b810c4e60acf68a99a56042b4d5a8)
            mstore(add(table, 0x940), 0x701af5b13ea50b73500fa0840b3d6a3136c16bdd5d9acf7843faa8b3a59b7a5f)
            mstore(add(table, 0x980), 0x7a164e1b9a80f8f4c11b50029f016732025a8430e8864b8aaf25b0a84cee9730)
            mstore(add(table, 0x9a0), 0x2ab91587555bda628131f31a214bd6bd3bd353fde5c1ba7d56611fe8a4fcd265)
            mstore(add(table, 0x9c0), 0x5a2826af12b9b4c6d170e5458cf2db4c589423221c35da6214ae933f0dd0d889)
            mstore(add(table, 0xa00), 0x680e910321e58727ca348d3dfb0a92656765c6f47dfd2538287351b98efc099f)
            mstore(add(table, 0xa20), 0x27933f4c7445a49ac3e8e3cd06a05073327e89715660faa995fe050a056818bf)
            mstore(add(table, 0xa40), 0x7f9d0cbf63553e2b5ddbdcf9102b44946e9e39457b5cc1725a13fbe9c476ff09)
            mstore(add(table, 0xa80), 0x2945ccf146e206ebdd1beb0c5abfec448d5048c3c75eed02a212bc4408a5bb33)
            mstore(add(table, 0xaa0), 0x154a7e73eb1b55f3e33cf11cb864a087d50014d14b2729b77f9182c3a447d6ba)
            mstore(add(table, 0xac0), 0x43aabe696b3bb69ab41b670b1bbda72d270e0807d0bdd1fcbcbbdbf1812a8285)
            mstore(add(table, 0xb00), 0x51e57bb6a2cc38bd8065b668da59a7369b27158900c8af883a0ceeeb77157131)
            mstore(add(table, 0xb20), 0x38b64c41ae417884bb085ce7204553b9575be28427d22739499806b67b7d8ca4)
            mstore(add(table, 0xb40), 0x10b8e91a9f0d61e353e4a24b083bc144be70e00341a1bb0185ac326702ea4b71)
            mstore(add(table, 0xb80), 0x461bea69283c927e71b2528228542e497470353ab39dc0d26b1a5cd0944ea3bf)
            mstore(add(table, 0xba0), 0x1d6edd5d2e5317e09dea764f92192c3a6ca021533bba23a7ba6f2c9aaa3221b1)
            mstore(add(table, 0xbc0), 0x7a9fbb1c6a0f90a7529c41ba5877adf3b3035f47053ea49af1836dc801b8b3a2)
            mstore(add(table, 0xc00), 0x0915e76061bce52fb1339c665ed9c3236cb30377e288702c59b7596604dd3e8f)
            mstore(add(table, 0xc20), 0x3a9024a1320e01c32c2741ac6e3c23fb963d7680e1b558f9e2a75dedf39234d9)
            mstore(add(table, 0xc40), 0x26907c5c2ecc4e95636412190eb62a32b8a371788bcca7d7e7c1f5d9c9a2911a)
            mstore(add(table, 0xc80), 0x34b9ed338add7f59ceb233c9c686f5b5a6509e6f51bc46c59b2e678aa6a8632f)
            mstore(add(table, 0xca0), 0x49c05a51fadc9c8f96cbc608e75eb04498a081b6f520419bf36e217e039d8064)
            mstore(add(table, 0xcc0), 0x73c172021b008b06aaf6fc2993d4cf16e2ff83e8a719d22f06b4e8bf9045af1b)
            mstore(add(table, 0xd00), 0x43ac7628aae591ed0d5503639b55464645f534d41617e057ff1d93d2b360748e)
            mstore(add(table, 0xd20), 0x0353832c4950b70284739745f5dc395804f8183665a9f02f75f3558e227081dd)
            mstore(add(table, 0xd40), 0x0ec62af470bf4ce7ff169f0f6731b5091d0c1ccbd3f06340d03d2ae403d0f8d8)
            mstore(add(table, 0xd80), 0x4275aae2546d8faf113e847117703406e5d9fecf02302e272fbf00848a802ade)
            mstore(add(table, 0xda0), 0x18ab598029d5c77fa3a075556a8deb953ed6b36977088381315f5b0249864348)
            mstore(add(table, 0xdc0), 0x3dc65522b53df94844311199b51a8622031eb4a13282e4a4d82b2cc5fd6089e9)
            mstore(add(table, 0xe00), 0x078aafde8d3cdd5845ecdd2e701a6f9388de3dd7d834d1a9e2358042a71e7539)
            mstore(add(table, 0xe20), 0x7956ece28a6022ed884dfb6e56d5dbdd23b2bf90ccb25b24856f8375b53d54b9)
            mstore(add(table, 0xe40), 0x37c6a5151c83d0c6ffcb589af4976461f66cda23a24e180beea594d87f944553)
            mstore(add(table, 0xe80), 0x234fd7eec346f241537a0e12fb07ba07bf84b39ab5bcdedbbf70c222a2007f6d)
            mstore(add(table, 0xea0), 0x0267882d176024a79d12b232aaad5968aefcebc99b776f6b506f013b327fbf93)
            mstore(add(table, 0xec0), 0x497ba6fdaa097863a2ef37f891a7e5332437e6b1df8dd4715360a119732ea378)
            mstore(add(table, 0xf00), 0x6eaf60b2464d16301a474c042881bdd580277fc057efa98726f870ec3f213df2)
            mstore(add(table, 0xf20), 0x2df0ea2c5b3c80d2112e56f16eec47a9ce69b20fdb7ca331dfdb8a44d4171280)
            mstore(add(table, 0xf40), 0x24bf7e3cd8ba9c939c1fdf703ecb1baaf02397eda2a9bf5496a1c5877a1e1b82)
            mstore(add(table, 0xf80), 0x61e22917f12de72b2dbdbdfac1f2d4d08648c28d189c246d24cecc0313cfeaa0)
            mstore(add(table, 0xfa0), 0x43b5cd4218d05ebf7508300807b25192d3829ba42a9910d6040bcd86468ccf0b)
            mstore(add(table, 0xfc0), 0x511d61210ae4d842032e5a7d93d64270eb38af4e373fdeee5d9a762f9bd0b516)
        }
    }

    /// `k·(x, y) + s·B`, by windows of four bits of both numbers over one chain of doublings (Straus). The unused
    /// entry 0 of the table keeps k and s.
    /// @param p Always P. Where it is a constant the compiler builds it anew, from three numbers, each of the 3 000
    ///        times that it is used.
    function _combine(uint256 px, uint256 py, uint256 k, uint256 s, uint256 p)
        private
        pure
        returns (uint256 x, uint256 y, uint256 z)
    {
        uint256 table = _multiples(px, py, p);
        _baseMultiples(table);
        assembly ("memory-safe") {
            mstore(table, k)
            mstore(add(table, 0x20), s)
        }
        (x, y, z) = (0, 1, 1);
        assembly ("memory-safe") {
            let t := 0
            for { let shift := 252 } 1 { shift := sub(shift, 4) } {
                let entry := and(shr(shift, mload(table)), 15)
                if entry {
                    entry := add(table, shl(7, entry))
                    let a := mulmod(add(sub(p, x), y), mload(add(entry, 0x20)), p)
                    let b := mulmod(add(x, y), mload(entry), p)
                    let e := add(sub(p, a), b)
                    let h := add(a, b)
                    let c := mulmod(t, mload(add(entry, 0x40)), p)
                    let d := mulmod(z, mload(add(entry, 0x60)), p)
                    let f := add(sub(p, c), d)
                    let g := add(c, d)
                    x := mulmod(e, f, p)
                    y := mulmod(g, h, p)
                    z := mulmod(f, g, p)
                    t := mulmod(e, h, p)
                }
                entry := and(shr(shift, mload(add(table, 0x20))), 15)
                if entry {
                    entry := add(add(table, 0x800), shl(7, entry))
                    let a := mulmod(add(sub(p, x), y), mload(add(entry, 0x20)), p)
                    let b := mulmod(add(x, y), mload(entry), p)
                    let e := add(sub(p, a), b)
                    let h := add(a, b)
                    let c := mulmod(t, mload(add(entry, 0x40)), p)
                    let d := addmod(z, z, p)
                    let f := add(sub(p, c), d)
                    let g := add(c, d)
                    x := mulmod(e, f, p)
                    y := mulmod(g, h, p)
                    z := mulmod(f, g, p)
                }
                if iszero(shift) { break }
                // four doublings; only the last needs t
                {
                    let b := mulmod(y, y, p)
                    let a := mulmod(x, x, p)
                    let e := mulmod(add(x, x), y, p)
                    let g := add(sub(p, a), b)
                    let h := add(a, b)
                    let f := addmod(mulmod(add(z, z), z, p), sub(TWO_P, g), p)
                    x := mulmod(e, f, p)
                    y := mulmod(g, h, p)
                    z := mulmod(f, g, p)
                }
                {
                    let b := mulmod(y, y, p)
                    let a := mulmod(x, x, p)
                    let e := mulmod(add(x, x), y, p)
                    let g := add(sub(p, a), b)
                    let h := add(a, b)
                    let f := addmod(mulmod(add(z, z), z, p), sub(TWO_P, g), p)
                    x := mulmod(e, f, p)
                    y := mulmod(g, h, p)
                    z := mulmod(f, g, p)
                }
                {
                    let b := mulmod(y, y, p)
                    let a := mulmod(x, x, p)
                    let e := mulmod(add(x, x), y, p)
                    let g := add(sub(p, a), b)
                    let h := add(a, b)
                    let f := addmod(mulmod(add(z, z), z, p), sub(TWO_P, g), p)
                    x := mulmod(e, f, p)
                    y := mulmod(g, h, p)
                    z := mulmod(f, g, p)
                }
                {
                    let b := mulmod(y, y, p)
                    let a := mulmod(x, x, p)
                    let e := mulmod(add(x, x), y, p)
                    let g := add(sub(p, a), b)
                    let h := add(a, b)
                    let f := addmod(mulmod(add(z, z), z, p), sub(TWO_P, g), p)
                    x := mulmod(e, f, p)
                    y := mulmod(g, h, p)
                    z := mulmod(f, g, p)
                    t := mulmod(e, h, p)
                }
            }
        }
    }

    /// Writes the entries 1..15 of the multiples of `(px, py)` behind the free memory pointer and returns where
    /// entry 0 is.
    function _multiples(uint256 px, uint256 py, uint256 p) private pure returns (uint256 table) {
        assembly ("memory-safe") {
            table := mload(0x40)
            let t := mulmod(px, py, p)
            let sum := add(px, py)
            let difference := add(sub(p, px), py)
            let scaled := mulmod(t, D2, p)
            let x := px
            let y := py
            let z := 1
            for { let entry := add(table, 0x80) } 1 {} {
                mstore(entry, add(x, y))
                mstore(add(entry, 0x20), add(sub(p, x), y))
                mstore(add(entry, 0x40), mulmod(t, D2, p))
                mstore(add(entry, 0x60), add(z, z))
                entry := add(entry, 0x80)
                if eq(entry, add(table, 0x800)) { break }
                let a := mulmod(add(sub(p, x), y), difference, p)
                let b := mulmod(add(x, y), sum, p)
                let e := add(sub(p, a), b)
                let h := add(a, b)
                a := mulmod(t, scaled, p)
                b := addmod(z, z, p)
                let f := add(sub(p, a), b)
                let g := add(a, b)
                x := mulmod(e, f, p)
                y := mulmod(g, h, p)
                z := mulmod(f, g, p)
                t := mulmod(e, h, p)
            }
        }
    }
}
