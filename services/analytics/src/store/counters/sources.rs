use uuid::Uuid;

use super::visits::Visit;

/// What clicks are of: owners, and the codes of their links. Side by side, since clicks in the order of
/// their links ask for them in no order.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Each owner once for clicks of theirs that follow each other.
    owners: Vec<Uuid>,
    of: Vec<Source>,
    codes: String,
}

/// What one click is of.
#[derive(Debug, Clone, Copy)]
struct Source {
    /// The place of its owner.
    owner: u32,
    /// Where the link's code begins, which ends where the next one begins.
    code: u32,
}

impl Sources {
    /// None, and room for so many.
    pub(super) fn with_room(clicks: usize) -> Self {
        Self {
            of: Vec::with_capacity(clicks),
            ..Self::default()
        }
    }

    /// Whose link it was, and its code.
    pub(super) fn of(&self, visit: &Visit) -> (Uuid, &str) {
        let Source { owner, code } = self.of[visit.source()];
        let next = self.of.get(visit.source() + 1);
        let end = next.map_or(self.codes.len(), |next| next.code as usize);
        (self.owners[owner as usize], &self.codes[code as usize..end])
    }

    /// Takes those of one more click in; their place, if there is one for them.
    pub(super) fn add(&mut self, owner: Uuid, code: &str) -> Option<u32> {
        let place = u32::try_from(self.of.len()).ok()?;
        if self.owners.last() != Some(&owner) {
            self.owners.push(owner);
        }
        self.of.push(Source {
            owner: u32::try_from(self.owners.len() - 1).ok()?,
            code: u32::try_from(self.codes.len()).ok()?,
        });
        self.codes.push_str(code);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::counters::key::Sort;

    #[test]
    fn each_click_has_its_own() {
        let (ann, ben) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let all = [(ann, "a"), (ann, "bc"), (ben, ""), (ann, "a"), (ben, "def")];
        let mut sources = Sources::with_room(2);
        let places = all.map(|(owner, code)| sources.add(owner, code).unwrap());
        for (place, expected) in places.into_iter().zip(all) {
            let visit = Visit::new(7, 0, 0, [0; 7], place, Sort::Bot);
            assert_eq!(sources.of(&visit), expected);
        }
    }
}
