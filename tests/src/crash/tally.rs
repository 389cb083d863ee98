//! Matches what was answered with what is counted.

use super::drain::Counted;
use super::load::{Outcome, Request, number, referrer};

/// Requests of one kind of period, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// The redirect came completely.
    pub answered: u64,
    /// No whole answer came.
    pub cut_off: u64,
    /// There was nobody to ask.
    pub not_sent: u64,
    /// Something else was answered.
    pub refused: u64,
    /// Answered and counted.
    pub counted: u64,
    /// Answered, and not counted.
    pub lost: u64,
    /// Counted more than once.
    pub double: u64,
    /// Cut off, and counted once: allowed.
    pub counted_unanswered: u64,
    /// Counted, and not sent, or refused.
    pub invented: u64,
}

impl Tally {
    /// Adds one request, which was counted `times`.
    pub fn add(&mut self, outcome: Outcome, times: u64) {
        match outcome {
            Outcome::Answered => {
                self.answered += 1;
                self.counted += u64::from(times > 0);
                self.lost += u64::from(times == 0);
            }
            Outcome::CutOff => {
                self.cut_off += 1;
                self.counted_unanswered += u64::from(times > 0);
            }
            Outcome::NotSent => {
                self.not_sent += 1;
                self.invented += u64::from(times > 0);
            }
            Outcome::Refused(_) => {
                self.refused += 1;
                self.invented += u64::from(times > 0);
            }
        }
        self.double += u64::from(times > 1);
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        self.answered += other.answered;
        self.cut_off += other.cut_off;
        self.not_sent += other.not_sent;
        self.refused += other.refused;
        self.counted += other.counted;
        self.lost += other.lost;
        self.double += other.double;
        self.counted_unanswered += other.counted_unanswered;
        self.invented += other.invented;
    }
}

/// Whether every answered request is counted.
pub fn is_all_there(requests: &[Request], counted: &Counted) -> bool {
    requests
        .iter()
        .filter(|request| request.outcome == Outcome::Answered)
        .all(|request| counted.contains_key(&referrer(request.number)))
}

/// How many counted referrers no request ever had.
pub fn strangers(requests: &[Request], counted: &Counted) -> u64 {
    let known = |number| {
        requests
            .binary_search_by_key(&number, |request| request.number)
            .is_ok()
    };
    let strangers = counted
        .keys()
        .filter(|referrer| !number(referrer).is_some_and(known))
        .count();
    strangers as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_own_column() {
        let mut tally = Tally::default();
        for (outcome, times) in [
            (Outcome::Answered, 1),
            (Outcome::Answered, 0),
            (Outcome::Answered, 2),
            (Outcome::CutOff, 0),
            (Outcome::CutOff, 1),
            (Outcome::NotSent, 1),
            (Outcome::Refused(404), 0),
        ] {
            tally.add(outcome, times);
        }
        let expected = Tally {
            answered: 3,
            cut_off: 2,
            not_sent: 1,
            refused: 1,
            counted: 2,
            lost: 1,
            double: 1,
            counted_unanswered: 1,
            invented: 1,
        };
        assert_eq!(tally, expected);
    }

    #[test]
    fn a_referrer_that_nobody_sent_is_a_stranger() {
        let request = |number| Request {
            number,
            outcome: Outcome::Answered,
            period: 0,
        };
        let counted = Counted::from([
            (referrer(1), 1),
            (referrer(3), 1),
            ("example.org".to_owned(), 1),
            (String::new(), 1),
        ]);
        let requests = [request(1), request(2)];
        assert_eq!(strangers(&requests, &counted), 3);
        assert!(!is_all_there(&requests, &counted));
        assert!(is_all_there(&requests[..1], &counted));
    }
}
