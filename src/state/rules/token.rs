//! Access tokens.

use super::*;
use crate::domain::Token;

impl Rules for Token {
    fn settle(&mut self, _before: Option<&Stored<Self>>, _state: &State, _cx: &mut Context<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn cascade(
        _stored: &Stored<Self>,
        _state: &State,
        _children: Children,
        _cx: &mut Context<'_>,
    ) -> Result<Vec<Change>, Error> {
        Ok(Vec::new())
    }
}
