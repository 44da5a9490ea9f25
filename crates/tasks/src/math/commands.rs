//! Reads commands of a formula with what belongs to them: fractions, roots, functions, matrices.
//!
//! Promise: a command is read with all of its arguments or not at all.

use num_rational::BigRational;

use super::functions;
use super::lex::Piece;
use super::measure::behind_degree;
use super::parse::{Parser, Value, figures, one_letter};
use super::poly::{Atom, Expression};

impl Parser<'_, '_> {
    pub(super) fn absolute(&mut self) -> Option<Value> {
        self.bars += 1;
        let inside = self.sum();
        self.bars -= 1;
        let inside = inside?.expression()?;
        self.take(&['|'])?;
        let value = functions::absolute(&inside, self.arithmetic)?;
        Some(self.plain(value))
    }

    pub(super) fn command(&mut self, name: &'static str) -> Option<Value> {
        let value = match name {
            "infty" => Expression::name("∞"),
            "emptyset" => return Some(Value::Set(Vec::new())),
            "frac" => {
                let (over, under) = self.arguments()?;
                self.arithmetic.divide(&over, &under)?
            }
            "binom" => {
                let (over, under) = self.arguments()?;
                functions::binomial(&over, &under, self.arithmetic)?
            }
            "sqrt" => self.root()?,
            "lfloor" | "lceil" => {
                let inside = self.sum()?.expression()?;
                let close = if name == "lfloor" { "rfloor" } else { "rceil" };
                let [Piece::Command(closing), rest @ ..] = self.rest else { return None };
                self.rest = rest;
                (*closing == close).then(|| functions::rounded(&inside, name == "lfloor"))??
            }
            "overline" | "vec" | "hat" | "mathbb" | "mathcal" => {
                // the order of points counts: the vector AB is not BA
                if let [Piece::Sign('{'), Piece::Word(points), Piece::Sign('}'), rest @ ..] = self.rest {
                    self.rest = rest;
                    return Some(self.plain(Expression::function(name, vec![Expression::name(points)])?));
                }
                let inside = self.argument()?;
                if name == "mathbb" && inside.as_name() == Some("r") {
                    return Some(self.all_numbers());
                }
                Expression::function(name, vec![inside])?
            }
            "max" | "min" | "gcd" | "lcm" => {
                self.take(&['('])?;
                let members = self.list()?.into_iter().map(Value::expression).collect::<Option<Vec<_>>>()?;
                self.take(&[')'])?;
                functions::of_many(name, members)?
            }
            "angle" | "triangle" => Expression::name(name),
            "choose" | "rfloor" | "rceil" | "cap" | "setminus" | "mid" | "perp" | "parallel" | "forall" | "exists"
            | "sum" | "int" => return None,
            _ => self.function(name)?,
        };
        Some(self.plain(value))
    }

    /// With the lower part of `{n \choose k}` behind it.
    pub(super) fn chosen(&mut self, over: Value) -> Option<Value> {
        let [Piece::Command("choose"), rest @ ..] = self.rest else { return Some(over) };
        self.rest = rest;
        let (over, under) = (over.expression()?, self.sum()?.expression()?);
        let value = functions::binomial(&over, &under, self.arithmetic)?;
        Some(self.plain(value))
    }

    /// The real numbers, from minus infinity to infinity.
    fn all_numbers(&mut self) -> Value {
        let infinity = Expression::name("∞");
        let minus = self.arithmetic.multiply(&Expression::whole(-1), &infinity).unwrap_or_else(|| infinity.clone());
        Value::Tuple { members: vec![self.plain(minus), self.plain(infinity)], open: (true, true) }
    }

    /// The two groups of `\frac`, or two figures.
    fn arguments(&mut self) -> Option<(Expression, Expression)> {
        if let [Piece::Number { value, decimal: false }, rest @ ..] = self.rest
            && let Some((over, under)) = figures(value)
        {
            self.rest = rest;
            return Some((Expression::whole(over), Expression::whole(under)));
        }
        Some((self.argument()?, self.argument()?))
    }

    /// A group, or one figure or letter.
    pub(super) fn argument(&mut self) -> Option<Expression> {
        if self.take(&['{']).is_some() {
            let inside = self.sum()?;
            let inside = self.chosen(inside)?.expression()?;
            return self.take(&['}']).map(|_| inside);
        }
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        match first {
            Piece::Number { value, decimal: false } if *value < BigRational::from_integer(10.into()) => {
                Some(Expression::number(value.clone()))
            }
            Piece::Letter(letter) => Some(one_letter(letter)),
            Piece::Command("sqrt") => self.root(),
            _ => None,
        }
    }

    /// `\sqrt[n]{x}`, `\sqrt 2` or `√(2)`.
    fn root(&mut self) -> Option<Expression> {
        let index = match self.take(&['[']) {
            Some(_) => {
                let index = self.sum()?.expression()?.integer()?;
                self.take(&[']'])?;
                index
            }
            None => 2,
        };
        let radicand = match self.rest.first()? {
            Piece::Sign('{' | '(') | Piece::Number { .. } | Piece::Letter(_) => self.primary()?.expression()?,
            _ => return None,
        };
        functions::root(&radicand, index, self.arithmetic)
    }

    /// `\sin^2 x`, `\log_2 8`, `\ln(x + 1)`.
    fn function(&mut self, name: &'static str) -> Option<Expression> {
        let base = match self.take(&['_']) {
            Some(_) if name == "log" => Some(self.argument()?),
            Some(_) => return None,
            None => None,
        };
        let power = match self.take(&['^']) {
            Some(_) => Some(self.exponent()?),
            None => None,
        };
        let argument = match name {
            "sin" | "cos" | "tan" | "cot" | "sec" | "csc" => self.angle()?,
            _ => self.function_argument()?,
        };
        // \sin^{-1} is the inverse function and not the reciprocal
        let inverse = match name {
            "sin" => "arcsin",
            "cos" => "arccos",
            _ => "arctan",
        };
        if power.as_ref().and_then(Expression::integer) == Some(-1) && matches!(name, "sin" | "cos" | "tan") {
            return functions::of_one(inverse, base, &argument, self.arithmetic);
        }
        let value = functions::of_one(name, base, &argument, self.arithmetic)?;
        match power {
            Some(power) if power.integer().is_some_and(|power| power > 0) => self.arithmetic.power(&value, &power),
            Some(_) => None,
            None => Some(value),
        }
    }

    /// The argument of a sine or its like: `30^\circ`, in brackets or not, is `π/6`.
    fn angle(&mut self) -> Option<Expression> {
        let (argument, unit) = match self.rest {
            [Piece::Sign('{'), rest @ ..] => {
                self.rest = rest;
                let inside = self.sum()?.quantity()?;
                let inside = self.tail(inside).filter(|inside| !inside.percent)?;
                self.take(&['}'])?;
                (inside.expression, inside.unit)
            }
            [Piece::Sign('('), ..] => {
                let inside = self.primary()?.quantity().filter(|inside| !inside.percent)?;
                (inside.expression, inside.unit)
            }
            _ => (self.function_argument()?, None),
        };
        let behind = behind_degree(self.rest);
        self.rest = behind.unwrap_or(self.rest);
        match (unit.as_deref(), behind.is_some()) {
            (None, false) => Some(argument),
            (None, true) | (Some("degree"), false) => {
                let turned = self.arithmetic.multiply(&argument, &Expression::atom(Atom::Pi))?;
                self.arithmetic.divide(&turned, &Expression::whole(180))
            }
            _ => None,
        }
    }

    /// A bracket or group, or numbers and letters side by side.
    fn function_argument(&mut self) -> Option<Expression> {
        if let Some(Piece::Sign('(' | '{' | '|')) = self.rest.first() {
            return self.primary()?.expression();
        }
        let mut argument = self.unsigned()?.expression()?;
        while matches!(self.rest.first(), Some(Piece::Letter(_) | Piece::Word(_))) && self.starts_factor() {
            let factor = self.unsigned()?.expression()?;
            argument = self.arithmetic.multiply(&argument, &factor)?;
        }
        Some(argument)
    }

    pub(super) fn matrix(&mut self, environment: &str) -> Option<Value> {
        if !matches!(environment, "matrix" | "pmatrix" | "bmatrix" | "Bmatrix" | "smallmatrix") {
            return None;
        }
        let mut rows = vec![Vec::new()];
        loop {
            let cell = self.sum()?.quantity()?;
            rows.last_mut()?.push(cell);
            match self.take(&['&', '⏎']) {
                Some('&') => {}
                Some(_) if !matches!(self.rest, [Piece::End(_), ..]) => rows.push(Vec::new()),
                _ => {
                    let [Piece::End(end), rest @ ..] = self.rest else { return None };
                    self.rest = rest;
                    return (end == environment).then_some(Value::Matrix(rows));
                }
            }
        }
    }
}
