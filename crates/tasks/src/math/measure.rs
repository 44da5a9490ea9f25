//! Reads what stands beside a quantity: percent, signs of money, units.
//!
//! Promise: what may make another number of the quantity is not read.

use super::lex::Piece;
use super::parse::{Parser, Quantity};
use super::unit;

impl Parser<'_, '_> {
    /// Percent and units behind a quantity; none if they may make another number of it.
    pub(super) fn tail(&mut self, mut quantity: Quantity) -> Option<Quantity> {
        if self.take(&['%']).is_some() {
            quantity.percent = true;
            return Some(quantity);
        }
        let money = self.currency.take();
        let mut words = String::new();
        while let Some((word, rest)) = unit_piece(self.rest, &words) {
            words.push(' ');
            words.push_str(&word);
            self.rest = rest;
        }
        let mut name = unit::name(&words)?;
        if let Some(money) = money.filter(|money| !unit::is_same(money, &name)) {
            name = unit::name(&format!("{money} {words}"))?;
        }
        quantity.unit = Some(name).filter(|name| !name.is_empty());
        Some(quantity)
    }

    /// Signs of money before or behind a number; two that differ are none.
    pub(super) fn money(&mut self) -> Option<()> {
        while let [Piece::Currency(currency), rest @ ..] = self.rest {
            if self.currency.is_some_and(|other| other != *currency) {
                return None;
            }
            (self.currency, self.rest) = (Some(*currency), rest);
        }
        Some(())
    }
}

/// The next word, sign or power of a unit of which `before` is read.
fn unit_piece<'p>(rest: &'p [Piece], before: &str) -> Option<(String, &'p [Piece])> {
    use Piece::{Letter, Number, Sign, Word};
    let begun = !before.is_empty();
    if let Some(rest) = behind_degree(rest) {
        return Some(("°".to_owned(), rest));
    }
    Some(match rest {
        [Word(word), rest @ ..] => (word.clone(), rest),
        // metres per second
        [Letter(letter), rest @ ..] if before.ends_with('/') => (letter.clone(), rest),
        [Letter(scale), rest @ ..] if before.ends_with('°') && matches!(&**scale, "c" | "f") => (scale.clone(), rest),
        [Sign('^'), Number { value, .. }, rest @ ..]
        | [Sign('^'), Sign('{'), Number { value, .. }, Sign('}'), rest @ ..]
            if begun =>
        {
            (format!("^{value}"), rest)
        }
        [Sign('/'), Word(_) | Letter(_), ..] if begun => ("/".to_owned(), &rest[1..]),
        _ => return None,
    })
}

/// What follows the sign of degrees, raised or not.
pub(super) fn behind_degree(rest: &[Piece]) -> Option<&[Piece]> {
    use Piece::Sign;
    match rest {
        [Sign('^'), Sign('{'), Sign('°'), Sign('}'), rest @ ..] | [Sign('^'), Sign('°'), rest @ ..] => Some(rest),
        [Sign('°'), rest @ ..] => Some(rest),
        _ => None,
    }
}
