//! Reads the words behind a number: units, currencies and things that were counted.
//!
//! Promise: two spellings of one unit have one name, two units have two; words that change the
//! number, date it or give it a direction (`fewer`, `January`, `km north`) have none.
//! Takes: the words, with `/` and powers. Gives: their name, empty if they add nothing.
//! Never: takes a word for a unit that is neither known nor a plural.

use crate::numeral::units::{self, Effect};

/// The most words that are read as a unit.
const MAX_WORDS: usize = 12;
/// The fewest letters of a plural that is not listed.
const MIN_PLURAL_CHARS: usize = 4;

/// Spellings of units; the first of each row names it.
const UNITS: [&str; 63] = [
    "nm nanometer nanometers nanometre nanometres",
    "μm µm um micrometer micrometers micrometre micrometres",
    "mm millimeter millimeters millimetre millimetres",
    "cm centimeter centimeters centimetre centimetres",
    "dm decimeter decimeters decimetre decimetres",
    "m meter meters metre metres",
    "km kilometer kilometers kilometre kilometres",
    "in inch inches",
    "ft foot feet",
    "yd yds yard yards",
    "mi mile miles",
    "mg milligram milligrams",
    "g gram grams",
    "kg kilogram kilograms",
    "t ton tons",
    "tonne tonnes",
    "oz ounce ounces",
    "lb lbs",
    "pound pounds",
    "ml milliliter milliliters millilitre millilitres",
    "cl centiliter centiliters centilitre centilitres",
    "dl deciliter deciliters decilitre decilitres",
    "l liter liters litre litres",
    "cup cups",
    "pint pints",
    "quart quarts",
    "gal gallon gallons",
    "tsp teaspoon teaspoons",
    "tbsp tablespoon tablespoons",
    "acre acres",
    "ha hectare hectares",
    "ms millisecond milliseconds",
    "s sec secs second seconds",
    "min mins minute minutes",
    "h hr hrs hour hours",
    "day days",
    "week weeks",
    "month months",
    "year years yr yrs",
    "decade decades",
    "century centuries",
    "cent cents ¢",
    "dollar dollars usd $",
    "euro euros eur €",
    "£ gbp",
    "¥ yen jpy",
    "₹ rupee rupees inr",
    "penny pennies pence",
    "degree degrees ° deg",
    "celsius",
    "fahrenheit",
    "radian radians rad",
    "n newton newtons",
    "j joule joules",
    "kj kilojoule kilojoules",
    "w watt watts",
    "kw kilowatt kilowatts",
    "kwh",
    "v volt volts",
    "amp amps ampere amperes",
    "hz hertz",
    "pa pascal pascals",
    "unit units",
];
/// Plurals without an s, and other names of what is often counted, each with its singular.
const PEOPLE_AND_THINGS: [&str; 26] = [
    "person people persons",
    "child children",
    "man men",
    "woman women",
    "boy boys",
    "kid kids",
    "girl girls",
    "student students",
    "tooth teeth",
    "mouse mice",
    "goose geese",
    "ox oxen",
    "die dice",
    "fish",
    "sheep",
    "deer",
    "leaf leaves",
    "loaf loaves",
    "knife knives",
    "shelf shelves",
    "wolf wolves",
    "calf calves",
    "vertex vertices",
    "index indices",
    "matrix matrices",
    "bus buses",
];
/// Singulars that are often counted; their plurals are read by their s.
const THINGS: &str = "apple orange banana pear peach plum cherry lemon grape pie cake cookie candy egg cat dog cow \
    hen pig bird duck horse rabbit ant bee car truck train bike boat ship plane wheel ball bag bat box basket bottle \
    book page pen pencil card coin bill ticket stamp toy doll game marble bead button block brick tile table chair \
    room door window house home tree flower rose seed plant way point step number digit letter word solution root \
    factor divisor term value side edge face corner angle triangle square circle rectangle line segment player team \
    member friend teacher worker guest customer passenger class group row column piece slice serving bucket jar jug \
    can pack packet shirt hat sock shoe hour trip lap turn question problem answer ride visit shot goal";
/// Words that change a number, bound it, date it, deny it or give it a direction, wherever they stand.
const CHANGING: &str = "or and to more less fewer lesser greater larger smaller bigger higher lower longer shorter \
    taller older younger later earlier faster slower extra additional another other further than least most not no \
    non never none without about around roughly nearly almost maximum minimum max above below under over beneath \
    underneath beyond before after past until till since ago from through between within up down behind ahead off \
    out right north south east west northeast northwest southeast southwest northern southern eastern western \
    clockwise counterclockwise anticlockwise plus minus negative positive wrong incorrect false missing short times \
    time fold double twice thrice triple quadruple point zero one two three four five six seven eight nine ten eleven \
    twelve twenty thirty forty fifty sixty seventy eighty ninety versus vs january february march april may june july \
    august september october november december jan feb mar apr jun jul aug sep sept oct nov dec am pm bc ad bce ce \
    noon midnight oclock late early thousandth";
/// Words with an s at their end that are no plurals of what can be counted.
const NO_PLURALS: &str = "always perhaps besides sometimes does goes equals makes gives means loses exceeds hers ours \
    yours theirs negatives positives opposites reciprocals inverses ones twos threes fours fives sixes sevens eights \
    nines tens percents percentages exponents powers factorials decimals doubles triples folds";
/// Words behind a unit that do not change what is measured.
const REMARKS: [&str; 11] =
    ["each", "total", "altogether", "remaining", "approx", "approximately", "exactly", "st", "nd", "rd", "th"];
/// Words behind a unit that say what of it is measured: they stay in the name.
const DIMENSIONS: [&str; 7] = ["left", "old", "long", "wide", "tall", "high", "deep"];

/// What can be gone along: "left" behind them may be a direction, elsewhere it says what remains.
const PATHS: &str =
    "mm cm m km in ft yd mi unit units step steps place places block blocks space spaces square squares";

/// The name of the words behind a number; `None` if they may make another number of it.
pub(super) fn name(words: &str) -> Option<String> {
    let spaced = words.replace('/', " / ").replace('°', " ° ").to_lowercase();
    let spaced = spaced.replace("mph", "mi / h").replace("kmh", "km / h").replace("kph", "km / h");
    let mut words: Vec<&str> = spaced.split_whitespace().collect();
    if words.len() > MAX_WORDS || words.iter().any(|word| changes(word)) {
        return None;
    }
    loop {
        match words[..] {
            [.., "in", "total" | "all"] => words.truncate(words.len() - 2),
            [.., last] if REMARKS.contains(&last) => words.truncate(words.len() - 1),
            [] => return Some(String::new()),
            _ => break,
        }
    }
    let things = words.split(|word| *word == "of").next()?;
    let head = things.iter().rposition(|word| is_thing(word) || word.starts_with('^'))?;
    let behind = words.get(head + 1..things.len())?;
    let path = row_of(things[head]).unwrap_or(things[head]);
    if behind.contains(&"left") && PATHS.split(' ').any(|other| other == path) {
        return None;
    }
    let named = behind.iter().all(|word| DIMENSIONS.contains(word) || is_scale(word, things[head]));
    named.then(|| in_one_spelling(&words))
}

/// Whether both names are names of one unit; a pound may be money or a weight.
pub(super) fn is_same(left: &str, right: &str) -> bool {
    left == right || matches!((left, right), ("pound", "lb" | "£") | ("lb" | "£", "pound"))
}

/// Whether the word alone is a unit or something that can be counted.
pub(super) fn is_thing(word: &str) -> bool {
    row_of(word).is_some() || THINGS.split(' ').any(|thing| thing == word) || singular(word).is_some()
}

fn changes(word: &str) -> bool {
    let effect = || row_of(word).is_none() && word.len() > 1 && !matches!(units::effect_behind(word), Effect::Nothing);
    CHANGING.split(' ').any(|change| change == word) || effect()
}

fn row_of(word: &str) -> Option<&'static str> {
    let mut rows = UNITS.iter().chain(&PEOPLE_AND_THINGS);
    let row = rows.find(|row| row.split(' ').any(|name| name == word))?;
    row.split(' ').next()
}

/// The scale of a temperature behind its degrees.
fn is_scale(word: &str, before: &str) -> bool {
    matches!(word, "c" | "f" | "celsius" | "fahrenheit") && row_of(before) == Some("degree")
}

/// A plural without its s, or without its es behind a sound that asks for one.
fn singular(word: &str) -> Option<&str> {
    let listed = NO_PLURALS.split(' ').any(|other| other == word);
    let other = ["ss", "us", "is", "wards", "ieths", "eenths"].iter().any(|end| word.ends_with(end));
    let plural = word.chars().count() >= MIN_PLURAL_CHARS && word.chars().all(char::is_alphabetic);
    word.strip_suffix('s').filter(|_| plural && !listed && !other)
}

/// Words with units by their first spelling, plurals as singulars, `per` as `/` and `square` as a power.
fn in_one_spelling(words: &[&str]) -> String {
    let (mut name, mut power) = (String::new(), None);
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let spelled = match *word {
            "square" | "sq" if row_of(next).is_some() => {
                power = Some(" ^2");
                continue;
            }
            "cubic" | "cu" if row_of(next).is_some() => {
                power = Some(" ^3");
                continue;
            }
            "per" => "/".to_owned(),
            "a" | "an" if at > 0 && row_of(next).is_some() => "/".to_owned(),
            "c" if name.ends_with("degree") => "celsius".to_owned(),
            "f" if name.ends_with("degree") => "fahrenheit".to_owned(),
            word => row_of(word).map_or_else(|| without_ending(word), str::to_owned),
        };
        name.push_str(if name.is_empty() { "" } else { " " });
        name.push_str(&spelled);
        name.push_str(power.take().unwrap_or_default());
    }
    name
}

/// What singular and plural share.
fn without_ending(word: &str) -> String {
    let word = singular(word).unwrap_or(word);
    if let Some(stem) = word.strip_suffix("ie") {
        return format!("{stem}y");
    }
    let stem = word.strip_suffix('e').unwrap_or(word);
    let sounds = ["ch", "sh", "x", "s", "z", "o"].iter().any(|end| stem.ends_with(end));
    if sounds { stem } else { word }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_unit_have_one_name() {
        for (left, right) in [
            ("cm", "centimetres"),
            ("square feet", "ft ^2"),
            ("cubic cm", "centimeters ^3"),
            ("mph", "miles per hour"),
            ("km/h", "kilometers an hour"),
            ("apple", "apples"),
            ("cookie", "cookies"),
            ("box", "boxes"),
            ("house", "houses"),
            ("person", "people"),
            ("apples in total", "apples"),
            ("°", "degrees"),
            ("° c", "degrees Celsius"),
            ("", "(approx)".trim_matches(['(', ')'])),
        ] {
            assert!(name(left).is_some() && name(left) == name(right), "{left} {right}");
        }
    }

    #[test]
    fn words_that_change_a_number_have_no_name() {
        for words in [
            "january",
            "east",
            "km north",
            "more",
            "fewer apples",
            "times",
            "less",
            "below zero",
            "negative",
            "wrong",
            "am",
            "degrees below",
            "apples short",
            "thousand",
            "dozen eggs",
            "minutes ago",
            "ones",
            "apples or more",
            "twentieths",
            "afterwards",
            "dollars short",
            "left",
            "feet down",
            "steps left",
            "metres left",
            "qwerty",
        ] {
            assert_eq!(name(words), None, "{words}");
        }
    }

    #[test]
    fn different_units_have_different_names() {
        let names: Vec<Option<String>> =
            ["boys", "girls", "cm", "m", "m ^2", "plans", "planes", "° c", "° f", "feet"].map(name).into();
        for (at, left) in names.iter().enumerate() {
            assert!(left.is_some() && names[at + 1..].iter().all(|right| left != right), "{left:?}");
        }
    }
}
