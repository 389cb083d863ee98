use std::fmt::Display;

use chassis::problem::Problem;

/// Collects every field that is at fault, so that a caller learns of all of them at once.
#[derive(Debug, Default)]
pub struct Faults(Option<Problem>);

impl Faults {
    /// Notes that `field` is at fault.
    pub fn note(&mut self, field: &str, message: impl Display) {
        let message = message.to_string();
        self.0 = Some(match self.0.take() {
            None => Problem::unprocessable(field, message),
            Some(problem) => problem.field(field, message),
        });
    }

    /// The value, or none if it is at fault, which is noted.
    pub fn check<T>(&mut self, field: &str, value: Result<T, impl Display>) -> Option<T> {
        value.map_err(|error| self.note(field, error)).ok()
    }

    /// An error if anything was noted.
    pub fn finish(self) -> Result<(), Problem> {
        self.0.map_or(Ok(()), Err)
    }
}
